/** What a cluster's connection pools have in use, and how much they may (Envoy's circuit breakers). Outlives snapshots. */
import { DEFAULT_LIMITS, type Limits } from "../../model/limits.ts";
import type { ClusterLimits } from "../../model/cluster.ts";
import { type ConnectionTerms, connectionTerms } from "../connection_terms.ts";

/**
 * Names the connections that a cluster has for itself. What it says of each one is a part of the name: when a rule says
 * something else, new ones are made at once, and the old ones close with their last request.
 */
export function poolName(owner: string, limits: ClusterLimits): string {
  const { idleTimeoutMs, maxConnectionDurationMs, maxConcurrentStreams, tcpKeepalive, http2KeepAlive } =
    limits;
  const ofEach = {
    idleTimeoutMs,
    maxConnectionDurationMs,
    maxConcurrentStreams,
    tcpKeepalive,
    http2KeepAlive,
  };
  return `${owner}|${JSON.stringify(ofEach)}`;
}

export class PoolLimits {
  /** Open, or on their way. */
  connections = 0;
  /** Requests that wait for a connection. */
  pending = 0;
  /** Requests in all, those that wait included. */
  requests = 0;
  retries = 0;
  /** Clients' connections that carry bytes, which between sidecars share one. */
  #tunnels = 0;
  #limits: ClusterLimits = {};
  readonly #own: Limits;
  #terms: ConnectionTerms;

  /** `own`: the proxy's limits, which hold where the cluster says nothing. */
  constructor(own: Limits = DEFAULT_LIMITS) {
    this.#own = own;
    this.#terms = connectionTerms({}, own);
  }

  configure(limits: ClusterLimits): void {
    this.#limits = limits;
    this.#terms = connectionTerms(limits, this.#own);
  }

  /** Of each connection by itself. */
  get terms(): ConnectionTerms {
    return this.#terms;
  }

  /** How the kernel watches over connections; undefined: not at all. */
  get tcpKeepalive(): ClusterLimits["tcpKeepalive"] {
    return this.#limits.tcpKeepalive;
  }

  get connectionsFull(): boolean {
    return this.connections >= (this.#limits.maxConnections ?? Infinity);
  }

  /** Counts a client's connection, if there may be one more; `endTunnel` follows then when it is over. */
  beginTunnel(): boolean {
    if (this.#tunnels >= (this.#limits.maxConnections ?? Infinity)) return false;
    this.#tunnels++;
    return true;
  }

  endTunnel(): void {
    this.#tunnels--;
  }

  get pendingFull(): boolean {
    return this.pending >= (this.#limits.maxPendingRequests ?? Infinity);
  }

  /** Whether the request that was counted last is one too many. */
  get requestsExceeded(): boolean {
    return this.requests - this.pending > (this.#limits.maxRequests ?? Infinity);
  }

  /** Infinity: as many as come. */
  get requestsPerConnection(): number {
    // 0 is how Istio says that there is no limit.
    return this.#limits.maxRequestsPerConnection || Infinity;
  }

  /** Counts a retry, if there may be one more; `endRetry` follows then when its outcome is known. */
  beginRetry(): boolean {
    if (this.retries >= this.#retriesMax) return false;
    this.retries++;
    return true;
  }

  endRetry(): void {
    this.retries--;
  }

  get #retriesMax(): number {
    const { maxRetries = Infinity, retryBudget } = this.#limits;
    if (retryBudget === undefined) return maxRetries;
    return Math.max(Math.floor(this.requests * retryBudget.percent / 100), retryBudget.minConcurrency);
  }
}
