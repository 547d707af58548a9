/**
 * What a proxy counts about its calls. An edge is one pair of workloads and a service, looked up when the snapshot is
 * built; a request adds to numbers in place, and text is made only when somebody asks.
 */
import { addCounts, Histogram } from "../lib/histogram.ts";
import {
  DURATION_BUCKETS_MS,
  type EdgeReport,
  GRPC_STATUS_MAX,
  type ResponseCount,
  type ResponseDetail,
} from "../model/report.ts";
import type { ServiceInfo, WorkloadInfo } from "../model/snapshot.ts";

/** Edges that a proxy tells apart; further ones share one edge named `overflow`. */
export const EDGES_MAX = 10_000;

/** Endings (status, flags, gRPC status) of an edge that are told apart; further ones count as status 0 of plain HTTP. */
export const SERIES_PER_EDGE_MAX = 200;

/** Stands for a gRPC status where the request is not gRPC. */
export const NOT_GRPC = -2;
/** Stands for a gRPC status that was never heard: the call broke off before its trailers. */
export const GRPC_STATUS_NONE = -1;
/** What gRPC makes of a status that it does not define. */
const GRPC_STATUS_UNKNOWN = 2;

/** The number in a `grpc-status` field. */
export function parseGrpcStatus(value: string): number {
  const status = /^[0-9]{1,2}$/.test(value) ? Number(value) : GRPC_STATUS_UNKNOWN;
  return status <= GRPC_STATUS_MAX ? status : GRPC_STATUS_UNKNOWN;
}

export interface EdgeLabels {
  readonly reporter: "source" | "destination";
  readonly source: WorkloadInfo;
  readonly destination: WorkloadInfo;
  readonly service: ServiceInfo;
  readonly mtls: boolean;
}

const UNKNOWN_SERVICE: ServiceInfo = { host: "unknown", name: "unknown", namespace: "unknown" };

/** Stands for a workload that the mesh knows nothing about. */
export const UNKNOWN_WORKLOAD: WorkloadInfo = {
  key: "unknown",
  namespace: "unknown",
  name: "unknown",
  principal: "",
  app: "unknown",
  version: "unknown",
};

type RequestProtocol = Exclude<EdgeReport["protocol"], "tcp">;

/** The requests of an edge that ended alike. */
export class Series {
  count = 0;
  readonly durations = new Histogram(DURATION_BUCKETS_MS);
  #reported = 0;

  /** `grpcStatus`: 0 to GRPC_STATUS_MAX, GRPC_STATUS_NONE or NOT_GRPC. */
  constructor(readonly code: number, readonly flags: string, readonly grpcStatus: number) {}

  get protocol(): RequestProtocol {
    return this.grpcStatus === NOT_GRPC ? "http" : "grpc";
  }

  /** What came since the last call; null when nothing did. */
  take(): (ResponseCount & { readonly detail: ResponseDetail }) | null {
    const count = this.count - this.#reported;
    if (count === 0) return null;
    this.#reported = this.count;
    const { code, flags, grpcStatus } = this;
    const { counts: durations, sum: durationSumMs } = this.durations.take();
    return {
      code,
      flags,
      ...(grpcStatus < 0 ? {} : { grpcStatus }),
      count,
      detail: { durations, durationSumMs },
    };
  }

  /** Adds what the same series of another process told. */
  absorb({ count, detail }: ResponseCount): void {
    if (detail === undefined) throw new TypeError("A report for the control plane cannot be absorbed");
    this.count += count;
    this.durations.add({ counts: detail.durations, sum: detail.durationSumMs });
  }
}

export class Edge {
  readonly series: Series[] = [];
  #latest = new Series(-1, "", NOT_GRPC);

  constructor(readonly labels: EdgeLabels) {}

  /** `grpcStatus` as in Series. */
  record(code: number, flags: string, durationMs: number, grpcStatus = NOT_GRPC): void {
    let series = this.#latest;
    if (series.code !== code || series.flags !== flags || series.grpcStatus !== grpcStatus) {
      series = this.#find(code, flags, grpcStatus);
    }
    series.count++;
    series.durations.record(durationMs);
  }

  /** Adds what the same edge of another process told. */
  absorb({ protocol, responses }: EdgeReport): void {
    for (const response of responses) {
      const grpcStatus = protocol === "grpc" ? response.grpcStatus ?? GRPC_STATUS_NONE : NOT_GRPC;
      this.#find(response.code, response.flags, grpcStatus).absorb(response);
    }
  }

  /** The differences since the last call: a report for each protocol in which something happened. */
  takeReports(): EdgeReport[] {
    const reports: EdgeReport[] = [];
    for (const [protocol, series] of Map.groupBy(this.series, (one) => one.protocol)) {
      const report = this.#takeReport(protocol, series);
      if (report !== null) reports.push(report);
    }
    return reports;
  }

  #takeReport(protocol: RequestProtocol, all: readonly Series[]): EdgeReport | null {
    const responses = all.flatMap((series) => series.take() ?? []);
    if (responses.length === 0) return null;
    const durations = new Array<number>(DURATION_BUCKETS_MS.length + 1).fill(0);
    let durationSumMs = 0;
    for (const { detail } of responses) {
      addCounts(durations, detail.durations);
      durationSumMs += detail.durationSumMs;
    }
    return { ...this.labels, protocol, responses, durations, durationSumMs };
  }

  #find(code: number, flags: string, grpcStatus: number): Series {
    let series = this.series.find((one) =>
      one.code === code && one.flags === flags && one.grpcStatus === grpcStatus
    );
    if (series === undefined) {
      if (this.series.length >= SERIES_PER_EDGE_MAX) return this.#overflow();
      series = new Series(code, flags, grpcStatus);
      this.series.push(series);
    }
    this.#latest = series;
    return series;
  }

  #overflow(): Series {
    const last = this.series[SERIES_PER_EDGE_MAX] ?? new Series(0, "-", NOT_GRPC);
    this.series[SERIES_PER_EDGE_MAX] = last;
    return last;
  }
}

export class EdgeRegistry {
  readonly #edges = new Map<string, Edge>();

  /** The edge of these labels; the same object every time. Not for the hot path. */
  edge(labels: EdgeLabels): Edge {
    const key = edgeKey(labels);
    let edge = this.#edges.get(key);
    if (edge !== undefined) return edge;
    if (this.#edges.size >= EDGES_MAX) return this.#overflow(labels.reporter);
    edge = new Edge(labels);
    this.#edges.set(key, edge);
    return edge;
  }

  edges(): IterableIterator<Edge> {
    return this.#edges.values();
  }

  /**
   * Adds what another process of the same proxy gave by takeReport(), as if its requests had been recorded here: this
   * registry tells of them in its own next report.
   */
  absorb(report: EdgeReport): void {
    const { reporter, source, destination, service, mtls } = report;
    this.edge({ reporter, source, destination, service, mtls }).absorb(report);
  }

  /** Differences since the last call. */
  takeReport(): EdgeReport[] {
    const reports: EdgeReport[] = [];
    for (const edge of this.#edges.values()) reports.push(...edge.takeReports());
    return reports;
  }

  #overflow(reporter: "source" | "destination"): Edge {
    const labels: EdgeLabels = {
      reporter,
      source: UNKNOWN_WORKLOAD,
      destination: UNKNOWN_WORKLOAD,
      service: { ...UNKNOWN_SERVICE, host: "overflow", name: "overflow" },
      mtls: false,
    };
    // Found by its labels too: another process may have such an edge.
    const key = edgeKey(labels);
    const edge = this.#edges.get(key) ?? new Edge(labels);
    this.#edges.set(key, edge);
    return edge;
  }
}

function edgeKey({ reporter, source, destination, service, mtls }: EdgeLabels): string {
  const { host, name, namespace } = service;
  return JSON.stringify([
    reporter,
    workloadKey(source),
    workloadKey(destination),
    host,
    name,
    namespace,
    mtls,
  ]);
}

function workloadKey({ key, namespace, name, principal, app, version }: WorkloadInfo): string[] {
  return [key, namespace, name, principal, app, version];
}
