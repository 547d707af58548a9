/**
 * What a proxy counts about its calls. An edge is one pair of workloads and a service, looked up when the snapshot is
 * built; a request adds to numbers in place, and text is made only when somebody asks.
 */
import {
  DURATION_BUCKETS_MS,
  type EdgeReport,
  GRPC_STATUS_MAX,
  type ResponseCount,
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

/** The requests of an edge that ended alike. */
export class Series {
  count = 0;
  sumMs = 0;
  /** Per bucket of DURATION_BUCKETS_MS, not cumulative; the last is for everything above. */
  readonly buckets = new Float64Array(DURATION_BUCKETS_MS.length + 1);
  /** What the last report already told. */
  reported = 0;

  /** `grpcStatus`: 0 to GRPC_STATUS_MAX, GRPC_STATUS_NONE or NOT_GRPC. */
  constructor(readonly code: number, readonly flags: string, readonly grpcStatus: number) {}

  get protocol(): RequestProtocol {
    return this.grpcStatus === NOT_GRPC ? "http" : "grpc";
  }
}

type RequestProtocol = Exclude<EdgeReport["protocol"], "tcp">;

/** What was already told of one protocol of an edge. */
class Reported {
  readonly buckets = new Float64Array(DURATION_BUCKETS_MS.length + 1);
  sumMs = 0;
}

export class Edge {
  readonly series: Series[] = [];
  #latest = new Series(-1, "", NOT_GRPC);
  readonly #reported = new Map<RequestProtocol, Reported>();

  constructor(readonly labels: EdgeLabels) {}

  /** `grpcStatus` as in Series. */
  record(code: number, flags: string, durationMs: number, grpcStatus = NOT_GRPC): void {
    let series = this.#latest;
    if (series.code !== code || series.flags !== flags || series.grpcStatus !== grpcStatus) {
      series = this.#find(code, flags, grpcStatus);
    }
    series.count++;
    series.sumMs += durationMs;
    let bucket = 0;
    while (bucket < DURATION_BUCKETS_MS.length && durationMs > (DURATION_BUCKETS_MS[bucket] as number)) {
      bucket++;
    }
    series.buckets[bucket] = (series.buckets[bucket] as number) + 1;
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
    const responses: ResponseCount[] = [];
    const reported = this.#reported.get(protocol) ?? new Reported();
    const totals = new Float64Array(reported.buckets.length);
    let sumMs = 0;
    for (const series of all) {
      const count = series.count - series.reported;
      series.reported = series.count;
      if (count > 0) responses.push(responseCount(series, count));
      sumMs += series.sumMs;
      for (let i = 0; i < totals.length; i++) {
        totals[i] = (totals[i] as number) + (series.buckets[i] as number);
      }
    }
    if (responses.length === 0) return null;
    const durations = Array.from(totals, (total, i) => total - (reported.buckets[i] as number));
    const durationSumMs = Math.max(0, sumMs - reported.sumMs);
    reported.buckets.set(totals);
    reported.sumMs = sumMs;
    this.#reported.set(protocol, reported);
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

function responseCount({ code, flags, grpcStatus }: Series, count: number): ResponseCount {
  return grpcStatus < 0 ? { code, flags, count } : { code, flags, grpcStatus, count };
}

export class EdgeRegistry {
  readonly #edges = new Map<string, Edge>();

  /** The edge of these labels; the same object every time. Not for the hot path. */
  edge(labels: EdgeLabels): Edge {
    const key = JSON.stringify([
      labels.reporter,
      labels.source,
      labels.destination,
      labels.service,
      labels.mtls,
    ]);
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

  /** Differences since the last call. */
  takeReport(): EdgeReport[] {
    const reports: EdgeReport[] = [];
    for (const edge of this.#edges.values()) reports.push(...edge.takeReports());
    return reports;
  }

  #overflow(reporter: "source" | "destination"): Edge {
    let edge = this.#edges.get(reporter);
    if (edge === undefined) {
      edge = new Edge({
        reporter,
        source: UNKNOWN_WORKLOAD,
        destination: UNKNOWN_WORKLOAD,
        service: { ...UNKNOWN_SERVICE, host: "overflow", name: "overflow" },
        mtls: false,
      });
      this.#edges.set(reporter, edge);
    }
    return edge;
  }
}
