/**
 * What a proxy counts about its calls. An edge is one pair of workloads and a service, looked up when the snapshot is
 * built; a call adds to numbers in place, and text is made only when somebody asks.
 */
import { addCounts } from "../lib/histogram.ts";
import { DURATION_BUCKETS_MS, type EdgeReport } from "../model/report.ts";
import type { ServiceInfo, WorkloadInfo } from "../model/call_info.ts";
import { type ConnectionCount, ConnectionSeries } from "./connection_series.ts";
import { GRPC_STATUS_NONE, NOT_GRPC } from "./grpc_status.ts";
import { type RequestCount, RequestSeries } from "./request_series.ts";
import { FLAG } from "./response_flags.ts";

/** Edges that a proxy tells apart; further ones share one edge named `overflow`. */
export const EDGES_MAX = 10_000;

/** Endings (status, flags, gRPC status) of an edge that are told apart; further ones count as status 0 of plain HTTP. */
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

const NO_DURATIONS: readonly number[] = new Array(DURATION_BUCKETS_MS.length + 1).fill(0);

export class Edge {
  readonly series: RequestSeries[] = [];
  /** Few: flags are the proxy's own words. */
  readonly connections: ConnectionSeries[] = [];
  /** Whole messages of gRPC calls, counted as they pass. */
  requestMessages = 0;
  responseMessages = 0;
  #latest = new RequestSeries(-1, "", NOT_GRPC);
  #toldMessages = { request: 0, response: 0 };

  constructor(readonly labels: EdgeLabels) {}

  /** Counts a request that has ended. `grpcStatus` as in RequestSeries; bytes are those of the bodies. */
  record(
    code: number,
    flags: string,
    durationMs: number,
    grpcStatus = NOT_GRPC,
    requestBytes = 0,
    responseBytes = 0,
  ): void {
    let series = this.#latest;
    if (series.code !== code || series.flags !== flags || series.grpcStatus !== grpcStatus) {
      series = this.#find(code, flags, grpcStatus);
    }
    series.record(durationMs, requestBytes, responseBytes);
  }

  /** Counts a TCP connection that begins; its bytes are added to what this returns. Flags: it comes to nothing. */
  openConnection(flags: string = FLAG.none): ConnectionSeries {
    const series = this.#connections(flags);
    series.opened++;
    return series;
  }

  closeConnection(flags: string): void {
    this.#connections(flags).closed++;
  }

  /** Adds what the same edge of another process told. */
  absorb({ protocol, responses, messages }: EdgeReport): void {
    for (const { code, flags, grpcStatus = GRPC_STATUS_NONE, count, detail } of responses) {
      if (detail === undefined) throw new TypeError("A report for the control plane cannot be absorbed");
      if ("opened" in detail) this.#connections(flags).absorb(count, detail);
      else this.#find(code, flags, protocol === "grpc" ? grpcStatus : NOT_GRPC).absorb(count, detail);
    }
    this.requestMessages += messages?.request ?? 0;
    this.responseMessages += messages?.response ?? 0;
  }

  /** The differences since the last call: a report for each protocol in which something happened. */
  takeReports(): EdgeReport[] {
    const { http = [], grpc = [] } = Object.groupBy(this.series, ({ protocol }) => protocol);
    const [httpCounts, grpcCounts, connections] = [takeAll(http), takeAll(grpc), takeAll(this.connections)];
    const messages = this.#takeMessages();
    const reports: EdgeReport[] = [];
    if (httpCounts.length > 0) reports.push(this.#requestReport("http", httpCounts));
    if (grpcCounts.length > 0 || messages !== null) {
      reports.push({
        ...this.#requestReport("grpc", grpcCounts),
        ...(messages === null ? {} : { messages }),
      });
    }
    if (connections.length > 0) reports.push(this.#connectionReport(connections));
    return reports;
  }

  #requestReport(protocol: "http" | "grpc", counts: readonly RequestCount[]): EdgeReport {
    const durations = [...NO_DURATIONS];
    const sums = { durationSumMs: 0, receivedBytes: 0, sentBytes: 0 };
    for (const { detail } of counts) {
      addCounts(durations, detail.durations.counts);
      sums.durationSumMs += detail.durations.sum;
      sums.receivedBytes += detail.requestBytes.sum;
      sums.sentBytes += detail.responseBytes.sum;
    }
    return { ...this.labels, protocol, responses: counts, durations, ...sums };
  }

  #connectionReport(counts: readonly ConnectionCount[]): EdgeReport {
    const sums = { opened: 0, receivedBytes: 0, sentBytes: 0 };
    for (const { detail } of counts) {
      sums.opened += detail.opened;
      sums.receivedBytes += detail.receivedBytes;
      sums.sentBytes += detail.sentBytes;
    }
    return {
      ...this.labels,
      protocol: "tcp",
      responses: counts,
      durations: NO_DURATIONS,
      durationSumMs: 0,
      ...sums,
    };
  }

  #takeMessages(): EdgeReport["messages"] | null {
    const { request, response } = this.#toldMessages;
    const messages = {
      request: this.requestMessages - request,
      response: this.responseMessages - response,
    };
    if (messages.request === 0 && messages.response === 0) return null;
    this.#toldMessages = { request: this.requestMessages, response: this.responseMessages };
    return messages;
  }

  #find(code: number, flags: string, grpcStatus: number): RequestSeries {
    let series = this.series.find((one) =>
      one.code === code && one.flags === flags && one.grpcStatus === grpcStatus
    );
    if (series === undefined) {
      if (this.series.length >= SERIES_PER_EDGE_MAX) return this.#overflow();
      series = new RequestSeries(code, flags, grpcStatus);
      this.series.push(series);
    }
    this.#latest = series;
    return series;
  }

  #overflow(): RequestSeries {
    const last = this.series[SERIES_PER_EDGE_MAX] ?? new RequestSeries(0, "-", NOT_GRPC);
    this.series[SERIES_PER_EDGE_MAX] = last;
    return last;
  }

  #connections(flags: string): ConnectionSeries {
    let series = this.connections.find((one) => one.flags === flags);
    if (series === undefined) {
      series = new ConnectionSeries(flags);
      this.connections.push(series);
    }
    return series;
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
   * registry tells of them in its own next report. Returns the edge that it is about.
   */
  absorb(report: EdgeReport): Edge {
    const { reporter, source, destination, service, mtls } = report;
    const edge = this.edge({ reporter, source, destination, service, mtls });
    edge.absorb(report);
    return edge;
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

function takeAll<Count>(all: readonly { take(): Count | null }[]): Count[] {
  return all.flatMap((series) => series.take() ?? []);
}
