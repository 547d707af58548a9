/** How long connections to upstreams live, and how much they carry: what a cluster's limits say of each one by itself. */
import type { ClusterLimits } from "../model/snapshot.ts";
import { IDLE_TIMEOUT_MS } from "./http1/limits.ts";
import { KEEPALIVE_INTERVAL_MS, KEEPALIVE_TIMEOUT_MS } from "./http2/keepalive.ts";

export interface ConnectionTerms {
  /** Without a request, or for TCP without a byte; 0: for ever. */
  readonly idleTimeoutMs: number;
  /** From its beginning until it takes no more requests; 0: for ever. */
  readonly durationMs: number;
  /** Requests at once on an HTTP/2 connection, where the peer allows more. */
  readonly streamsMax: number;
  /** When an HTTP/2 peer that says nothing is asked, and when it is given up after that. */
  readonly keepalive: { readonly intervalMs: number; readonly timeoutMs: number };
}

/** What holds where nobody says otherwise. */
export const TERMS_DEFAULT: ConnectionTerms = {
  idleTimeoutMs: IDLE_TIMEOUT_MS,
  durationMs: 0,
  streamsMax: Infinity,
  keepalive: { intervalMs: KEEPALIVE_INTERVAL_MS, timeoutMs: KEEPALIVE_TIMEOUT_MS },
};

export function connectionTerms(limits: ClusterLimits): ConnectionTerms {
  return {
    idleTimeoutMs: limits.idleTimeoutMs ?? TERMS_DEFAULT.idleTimeoutMs,
    durationMs: limits.maxConnectionDurationMs ?? TERMS_DEFAULT.durationMs,
    streamsMax: limits.maxConcurrentStreams ?? TERMS_DEFAULT.streamsMax,
    keepalive: limits.http2KeepAlive ?? TERMS_DEFAULT.keepalive,
  };
}
