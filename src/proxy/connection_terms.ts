/** How long connections to upstreams live, and how much they carry: what a cluster's limits say of each one by itself. */
import { DEFAULT_LIMITS, type Limits } from "../model/limits.ts";
import type { ClusterLimits } from "../model/snapshot.ts";
import type { KeepaliveTimes } from "./http2/keepalive.ts";

export interface ConnectionTerms {
  /** Without a request; 0: for ever. */
  readonly idleTimeoutMs: number;
  /** The same without a byte, for TCP. */
  readonly tunnelIdleTimeoutMs: number;
  /** From its beginning until it takes no more requests; 0: for ever. */
  readonly durationMs: number;
  /** Requests at once on an HTTP/2 connection, where the peer allows more. */
  readonly streamsMax: number;
  /** Of an HTTP/2 peer that says nothing. */
  readonly keepalive: KeepaliveTimes;
  /** The proxy's own, of which a cluster has no say. */
  readonly limits: Limits;
}

/** What a cluster says, and where it says nothing what holds for all. */
export function connectionTerms(cluster: ClusterLimits, limits: Limits): ConnectionTerms {
  return {
    idleTimeoutMs: cluster.idleTimeoutMs ?? limits.connectionIdleMs,
    tunnelIdleTimeoutMs: cluster.idleTimeoutMs ?? limits.tunnelIdleMs,
    durationMs: cluster.maxConnectionDurationMs ?? 0,
    streamsMax: cluster.maxConcurrentStreams ?? Infinity,
    keepalive: {
      intervalMs: cluster.http2KeepAlive?.intervalMs ?? limits.keepaliveIntervalMs,
      timeoutMs: cluster.http2KeepAlive?.timeoutMs ?? limits.keepaliveTimeoutMs,
      whenIdle: cluster.http2KeepAlive !== undefined,
    },
    limits,
  };
}

/** What holds where nobody says otherwise. */
export const TERMS_DEFAULT: ConnectionTerms = connectionTerms({}, DEFAULT_LIMITS);
