/** Metrics in Prometheus' text format 0.0.4, under Istio's names and labels, so that stock dashboards work. */
import type { Histogram } from "../lib/histogram.ts";
import { DURATION_BUCKETS_MS } from "../model/report.ts";
import { parseSpiffeId } from "../model/spiffe_id.ts";
import type { WorkloadInfo } from "../model/call_info.ts";
import type { ConnectionSeries } from "./connection_series.ts";
import type { Edge, EdgeLabels } from "./edge_metrics.ts";
import { GRPC_STATUS_NONE } from "./grpc_status.ts";
import type { RequestSeries } from "./request_series.ts";

export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** One number without a history of its own, such as a gauge of the process. */
export interface Sample {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export function prometheusText(edges: Iterable<Edge>, samples: readonly Sample[]): string {
  const families = newFamilies();
  for (const edge of edges) {
    const common = edgeLabels(edge.labels);
    for (const series of edge.series) writeRequests(families, common, edge.labels, series);
    // Without what is known of an ending: messages are counted before it. So does Istio.
    if (edge.requestMessages > 0) families.requestMessages.sample(common, edge.requestMessages);
    if (edge.responseMessages > 0) families.responseMessages.sample(common, edge.responseMessages);
    for (const series of edge.connections) writeConnections(families, common, edge.labels, series);
  }
  const lines = Object.values(families).flatMap((family) => family.lines);
  return `${lines.join("\n")}\n${samplesText(samples)}`;
}

/** Samples alone; those of one name must stand together. */
export function samplesText(samples: readonly Sample[]): string {
  const lines: string[] = [];
  let previous = "";
  for (const sample of samples) {
    if (sample.name !== previous) {
      lines.push(`# HELP ${sample.name} ${sample.help}`, `# TYPE ${sample.name} ${sample.type}`);
      previous = sample.name;
    }
    const labels = Object.entries(sample.labels ?? {}).map(([name, value]) => label(name, value)).join(",");
    lines.push(`${sample.name}${labels === "" ? "" : `{${labels}}`} ${sample.value}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** The lines of one metric. */
class Family {
  readonly lines: string[];
  readonly #name: string;

  constructor(name: string, type: "counter" | "histogram", help: string) {
    this.#name = name;
    this.lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
  }

  sample(labels: string, value: number): void {
    this.lines.push(`${this.#name}{${labels}} ${value}`);
  }

  /** With bounds as in DURATION_BUCKETS_MS, which are those of sizes too. */
  histogram(labels: string, { counts, sum }: Histogram, count: number): void {
    let cumulative = 0;
    for (let i = 0; i < DURATION_BUCKETS_MS.length; i++) {
      cumulative += counts[i] as number;
      this.lines.push(`${this.#name}_bucket{${labels},le="${DURATION_BUCKETS_MS[i]}"} ${cumulative}`);
    }
    this.lines.push(
      `${this.#name}_bucket{${labels},le="+Inf"} ${count}`,
      `${this.#name}_sum{${labels}} ${sum}`,
      `${this.#name}_count{${labels}} ${count}`,
    );
  }
}

type Families = ReturnType<typeof newFamilies>;

function newFamilies() {
  const counter = (name: string, help: string) => new Family(name, "counter", help);
  const histogram = (name: string, help: string) => new Family(name, "histogram", help);
  return {
    requests: counter("istio_requests_total", "Requests that this proxy carried."),
    durations: histogram(
      "istio_request_duration_milliseconds",
      "Time from the request's head to the end of the response.",
    ),
    requestBytes: histogram("istio_request_bytes", "Bytes in the bodies of requests."),
    responseBytes: histogram("istio_response_bytes", "Bytes in the bodies of responses."),
    requestMessages: counter("istio_request_messages_total", "gRPC messages from clients."),
    responseMessages: counter("istio_response_messages_total", "gRPC messages from servers."),
    opened: counter("istio_tcp_connections_opened_total", "TCP connections that began."),
    closed: counter("istio_tcp_connections_closed_total", "TCP connections that ended."),
    received: counter("istio_tcp_received_bytes_total", "Bytes that clients sent through TCP connections."),
    sent: counter("istio_tcp_sent_bytes_total", "Bytes that clients were sent through TCP connections."),
  };
}

function writeRequests(families: Families, common: string, labels: EdgeLabels, series: RequestSeries): void {
  const all = [
    common,
    label("request_protocol", series.protocol),
    label("response_code", String(series.code)),
    // To Prometheus a label that is not there and an empty one, as Istio has it for plain HTTP, are the same.
    ...(series.protocol === "grpc"
      ? [label("grpc_response_status", grpcStatusLabel(series.grpcStatus))]
      : []),
    label("response_flags", series.flags),
    securityPolicy(labels),
  ].join(",");
  families.requests.sample(all, series.count);
  families.durations.histogram(all, series.durations, series.count);
  families.requestBytes.histogram(all, series.requestBytes, series.count);
  families.responseBytes.histogram(all, series.responseBytes, series.count);
}

function writeConnections(
  families: Families,
  common: string,
  labels: EdgeLabels,
  series: ConnectionSeries,
): void {
  const all = [
    common,
    label("request_protocol", "tcp"),
    label("response_flags", series.flags),
    securityPolicy(labels),
  ].join(",");
  families.closed.sample(all, series.closed);
  // Only an end has these flags: beginning and bytes count under others.
  if (series.opened === 0) return;
  families.opened.sample(all, series.opened);
  families.received.sample(all, series.receivedBytes);
  families.sent.sample(all, series.sentBytes);
}

/** Istio reports the policy where it is enforced; the caller's side says unknown. */
function securityPolicy({ reporter, mtls }: EdgeLabels): string {
  return label(
    "connection_security_policy",
    reporter === "source" ? "unknown" : mtls ? "mutual_tls" : "none",
  );
}

function edgeLabels({ reporter, source, destination, service }: EdgeLabels): string {
  return [
    label("reporter", reporter),
    ...workloadLabels("source", source),
    ...workloadLabels("destination", destination),
    label("destination_service", service.host),
    label("destination_service_name", service.name),
    label("destination_service_namespace", service.namespace),
  ].join(",");
}

function workloadLabels(side: "source" | "destination", workload: WorkloadInfo): string[] {
  const trustDomain = parseSpiffeId(workload.principal)?.trustDomain;
  return [
    label(`${side}_workload`, workload.name),
    label(`${side}_workload_namespace`, workload.namespace),
    label(`${side}_principal`, workload.principal),
    label(`${side}_app`, workload.app),
    label(`${side}_version`, workload.version),
    label(`${side}_cluster`, trustDomain ?? ""),
    label(`${side}_canonical_service`, workload.app),
    label(`${side}_canonical_revision`, workload.version),
  ];
}

function grpcStatusLabel(status: number): string {
  return status === GRPC_STATUS_NONE ? "" : String(status);
}

/** Missing values are `unknown`, as in Istio. */
function label(name: string, value: string): string {
  const text = value === "" ? "unknown" : value;
  return `${name}="${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
