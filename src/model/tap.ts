/** Calls as they end, told one by one for as long as somebody watches. */
import type { WorkloadKey } from "./workload.ts";

/** A proxy tells calls for this long after it was last asked to; nobody has to tell it to stop. */
export const TAP_LEASE_MS = 15_000;

/** How often it is asked as long as somebody watches. */
export const TAP_RENEW_MS = 5_000;

/** Calls that a proxy keeps between two reports; further ones are only counted. */
export const TAPPED_CALLS_MAX = 500;

/** Characters of a method, an authority or a path; what is longer is cut. */
export const TAPPED_TEXT_LENGTH_MAX = 512;

/** The first line that somebody who watches is told: proxies are asked. */
export interface TapGreeting {
  readonly watching: true;
  /** Whether any proxy is there that was. Older control planes do not say. */
  readonly connected?: boolean;
}

export interface TappedCall {
  /** Milliseconds since 1970, when it ended. */
  readonly timeMs: number;
  /** Which end tells of it: `source` is the caller's. */
  readonly reporter: "source" | "destination";
  /** `NAMESPACE/NAME`. */
  readonly source: WorkloadKey;
  readonly destination: WorkloadKey;
  /** Host of the service. */
  readonly service: string;
  readonly mtls: boolean;
  readonly protocol: "http" | "grpc" | "tcp";
  /** Empty for bytes, as are the next two. */
  readonly method: string;
  readonly authority: string;
  /** Without query, where secrets may be. */
  readonly path: string;
  /** 0: it ended before one, or is no request. */
  readonly status: number;
  /** What ended a gRPC call; absent: it is none, or broke off before. */
  readonly grpcStatus?: number;
  /** Envoy's response flags, or `-`. */
  readonly flags: string;
  /** Envoy's response code details of an answer that the proxy made itself; empty for others. */
  readonly details: string;
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** What the called workload's policies said; null: none selects it, or the caller's end tells. */
  readonly verdict: TappedVerdict | null;
}

export interface TappedVerdict {
  readonly allowed: boolean;
  /** `NAMESPACE/NAME`; null: no rule matched. */
  readonly policy: string | null;
  /** Counts from 0. */
  readonly rule: number | null;
  readonly file: string | null;
  readonly line: number | null;
}

export interface TapReport {
  readonly calls: readonly TappedCall[];
  /** Calls that ended and were too many to tell. */
  readonly omitted: number;
}

/** `POST /v1/tap` over mTLS. */
export interface WorkloadTap extends TapReport {
  readonly workload: WorkloadKey;
}
