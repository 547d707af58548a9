/** What proxies tell the control plane's telemetry store about the calls that they carried: differences since the last report. */
import type { ServiceInfo, WorkloadInfo } from "./snapshot.ts";

/** Edges in one report; a proxy with more to tell sends several. */
export const REPORT_EDGES_MAX = 1_000;

/** `POST /v1/report` over mTLS. */
export interface TelemetryReport {
  readonly edges: readonly EdgeReport[];
}

export interface EdgeReport {
  /** Which end of the call counted: `source` is the caller's proxy. */
  readonly reporter: "source" | "destination";
  readonly source: WorkloadInfo;
  readonly destination: WorkloadInfo;
  readonly service: ServiceInfo;
  readonly protocol: "http" | "grpc" | "tcp";
  readonly mtls: boolean;
  readonly responses: readonly ResponseCount[];
  /** Counts per bucket of DURATION_BUCKETS_MS, then one for everything above. */
  readonly durations: readonly number[];
  readonly durationSumMs: number;
}

export interface ResponseCount {
  /** Status, 0 when the caller went away before one. */
  readonly code: number;
  /** Envoy's response flags, or `-`. */
  readonly flags: string;
  /** Where the protocol is `grpc`: 0 to GRPC_STATUS_MAX; missing when none was heard. */
  readonly grpcStatus?: number;
  readonly count: number;
  /** What a process tells another one of the same proxy; the control plane is not told. */
  readonly detail?: ResponseDetail;
}

/** The numbers of EdgeReport for the calls of one ending alone. */
export interface ResponseDetail {
  readonly durations: readonly number[];
  readonly durationSumMs: number;
}

/** The report as the control plane is told. */
export function withoutDetail(report: EdgeReport): EdgeReport {
  return { ...report, responses: report.responses.map(({ detail: _, ...response }) => response) };
}

/** UNAUTHENTICATED, the last status that gRPC defines; a server that says more means UNKNOWN. */
export const GRPC_STATUS_MAX = 16;

/** Upper bounds, milliseconds: Envoy's defaults, which Istio's dashboards expect. */
export const DURATION_BUCKETS_MS: readonly number[] = [
  0.5,
  1,
  5,
  10,
  25,
  50,
  100,
  250,
  500,
  1_000,
  2_500,
  5_000,
  10_000,
  30_000,
  60_000,
  300_000,
  600_000,
  1_800_000,
  3_600_000,
];
