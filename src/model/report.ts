/** What proxies tell the control plane's telemetry store about the calls that they carried: differences since the last report. */
import type { Distribution } from "../lib/histogram.ts";
import type { CallReport } from "./recorded_call.ts";
import type { ServiceInfo, WorkloadInfo } from "./call_info.ts";
import type { WorkloadKey } from "./workload.ts";

/** Edges in one report; a proxy with more to tell sends several. */
export const REPORT_EDGES_MAX = 1_000;

/** `POST /v1/report` over mTLS. */
export interface TelemetryReport {
  readonly edges: readonly EdgeReport[];
  /** What came to the reporter's own workload. Older proxies do not say. @default nothing */
  readonly calls?: WorkloadCalls;
}

/** The kinds of calls to one workload. */
export interface WorkloadCalls extends CallReport {
  /** `NAMESPACE/NAME`. */
  readonly workload: WorkloadKey;
}

export interface EdgeReport {
  /** Which end of the call counted: `source` is the caller's proxy. */
  readonly reporter: "source" | "destination";
  readonly source: WorkloadInfo;
  readonly destination: WorkloadInfo;
  readonly service: ServiceInfo;
  readonly protocol: "http" | "grpc" | "tcp";
  readonly mtls: boolean;
  /** Requests, or TCP connections, that ended. */
  readonly responses: readonly ResponseCount[];
  /** Counts per bucket of DURATION_BUCKETS_MS, then one for everything above. */
  readonly durations: readonly number[];
  readonly durationSumMs: number;
  /** Bytes from the client: bodies of requests, or what came through connections. Older proxies do not say. @default 0 */
  readonly receivedBytes?: number;
  /** Bytes to the client. @default 0 */
  readonly sentBytes?: number;
  /** Where the protocol is `tcp`: connections that began. @default 0 */
  readonly opened?: number;
  /** Messages of gRPC calls, for another process of the same proxy; the control plane is not told. @default none */
  readonly messages?: { readonly request: number; readonly response: number };
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
  readonly detail?: RequestDetail | ConnectionDetail;
}

/** The distributions behind the requests of one ending. */
export interface RequestDetail {
  /** In milliseconds, by DURATION_BUCKETS_MS. */
  readonly durations: Distribution;
  /** By SIZE_BUCKETS_BYTES. */
  readonly requestBytes: Distribution;
  readonly responseBytes: Distribution;
}

/** The numbers of EdgeReport for the TCP connections of one ending alone. */
export interface ConnectionDetail {
  readonly opened: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** The report as the control plane is told; null when nothing is left of it. */
export function withoutDetail({ messages: _, ...report }: EdgeReport): EdgeReport | null {
  const ended = report.responses.filter(({ count }) => count > 0);
  if (ended.length === 0 && report.protocol !== "tcp") return null;
  return { ...report, responses: ended.map(({ detail: _, ...response }) => response) };
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

/** Upper bounds, bytes: Envoy has one set of bounds for everything. */
export const SIZE_BUCKETS_BYTES = DURATION_BUCKETS_MS;
