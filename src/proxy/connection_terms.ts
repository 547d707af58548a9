/** How long connections to upstreams live, and how much they carry: what a cluster's limits say of each one by itself. */
import { DEFAULT_LIMITS, type Limits } from "../model/limits.ts";
import type { ClusterLimits } from "../model/cluster.ts";
import type { KeepaliveTimes } from "./http2/keepalive.ts";

/**
 * How often a peer that is no proxy of ours is asked at most, unless its cluster says otherwise. gRPC servers, Go's and
 * C++'s and Java's alike, take a client that pings more often than every 5 minutes for an attacker and close the
 * connection under all its calls (`too_many_pings`).
 */
export const STRANGER_PING_INTERVAL_MS = 330_000;

export interface ConnectionTerms {
  /** Without a request; 0: for ever. */
  readonly idleTimeoutMs: number;
  /** A tunnel or a TCP connection in which no byte moves for so long is closed; 0: never. */
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
      intervalMs: intervalMs(cluster, limits),
      timeoutMs: cluster.http2KeepAlive?.timeoutMs ?? limits.keepaliveTimeoutMs,
      whenIdle: cluster.http2KeepAlive !== undefined,
    },
    limits,
  };
}

function intervalMs({ http2KeepAlive }: ClusterLimits, { keepaliveIntervalMs }: Limits): number {
  if (http2KeepAlive === undefined) return Math.max(keepaliveIntervalMs, STRANGER_PING_INTERVAL_MS);
  return http2KeepAlive.intervalMs ?? keepaliveIntervalMs;
}

/** What holds where nobody says otherwise. */
export const TERMS_DEFAULT: ConnectionTerms = connectionTerms({}, DEFAULT_LIMITS);
