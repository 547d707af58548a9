/**
 * What a proxy counts about its calls. An edge is one pair of workloads and a service, looked up when the snapshot is
 * built; a request adds to numbers in place, and text is made only when somebody asks.
 */
import { DURATION_BUCKETS_MS, type EdgeReport, type ResponseCount } from "../model/report.ts";
import type { ServiceInfo, WorkloadInfo } from "../model/snapshot.ts";

/** Edges that a proxy tells apart; further ones share one edge named `overflow`. */
export const EDGES_MAX = 10_000;

/** Pairs of status and flags of an edge that are told apart; further ones count as status 0. */
export const SERIES_PER_EDGE_MAX = 200;

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

  constructor(readonly code: number, readonly flags: string) {}
}

export class Edge {
  readonly series: Series[] = [];
  #latest = new Series(-1, "");
  readonly #reportedBuckets = new Float64Array(DURATION_BUCKETS_MS.length + 1);
  #reportedSumMs = 0;

  constructor(readonly labels: EdgeLabels) {}

  record(code: number, flags: string, durationMs: number): void {
    let series = this.#latest;
    if (series.code !== code || series.flags !== flags) series = this.#find(code, flags);
    series.count++;
    series.sumMs += durationMs;
    let bucket = 0;
    while (bucket < DURATION_BUCKETS_MS.length && durationMs > (DURATION_BUCKETS_MS[bucket] as number)) {
      bucket++;
    }
    series.buckets[bucket] = (series.buckets[bucket] as number) + 1;
  }

  /** The difference since the last call, or null when nothing happened. */
  takeReport(): EdgeReport | null {
    const responses: ResponseCount[] = [];
    const totals = new Float64Array(this.#reportedBuckets.length);
    let sumMs = 0;
    for (const series of this.series) {
      const count = series.count - series.reported;
      series.reported = series.count;
      if (count > 0) responses.push({ code: series.code, flags: series.flags, count });
      sumMs += series.sumMs;
      for (let i = 0; i < totals.length; i++) {
        totals[i] = (totals[i] as number) + (series.buckets[i] as number);
      }
    }
    if (responses.length === 0) return null;
    const durations = Array.from(totals, (total, i) => total - (this.#reportedBuckets[i] as number));
    const durationSumMs = Math.max(0, sumMs - this.#reportedSumMs);
    this.#reportedBuckets.set(totals);
    this.#reportedSumMs = sumMs;
    return { ...this.labels, protocol: "http", responses, durations, durationSumMs };
  }

  #find(code: number, flags: string): Series {
    let series = this.series.find((one) => one.code === code && one.flags === flags);
    if (series === undefined) {
      if (this.series.length >= SERIES_PER_EDGE_MAX) return this.#overflow();
      series = new Series(code, flags);
      this.series.push(series);
    }
    this.#latest = series;
    return series;
  }

  #overflow(): Series {
    const last = this.series[SERIES_PER_EDGE_MAX] ?? new Series(0, "-");
    this.series[SERIES_PER_EDGE_MAX] = last;
    return last;
  }
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
    for (const edge of this.#edges.values()) {
      const report = edge.takeReport();
      if (report !== null) reports.push(report);
    }
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
