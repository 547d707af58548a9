/** Metrics in Prometheus' text format 0.0.4, under Istio's names and labels, so that stock dashboards work. */
import { DURATION_BUCKETS_MS } from "../model/report.ts";
import { parseSpiffeId } from "../model/spiffe_id.ts";
import type { WorkloadInfo } from "../model/snapshot.ts";
import { type Edge, type EdgeLabels, GRPC_STATUS_NONE, type Series } from "./edge_metrics.ts";

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
  const totals: string[] = [];
  const durations: string[] = [];
  for (const edge of edges) {
    const common = edgeLabels(edge.labels);
    for (const series of edge.series) writeSeries(common, edge.labels, series, totals, durations);
  }
  const lines = [
    "# HELP istio_requests_total Requests that this proxy carried.",
    "# TYPE istio_requests_total counter",
    ...totals,
    "# HELP istio_request_duration_milliseconds Time from the request's head to the end of the response.",
    "# TYPE istio_request_duration_milliseconds histogram",
    ...durations,
  ];
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

function writeSeries(
  common: string,
  labels: EdgeLabels,
  series: Series,
  totals: string[],
  durations: string[],
): void {
  const all = [
    common,
    label("request_protocol", series.protocol),
    label("response_code", String(series.code)),
    // To Prometheus a label that is not there and an empty one, as Istio has it for plain HTTP, are the same.
    ...(series.protocol === "grpc"
      ? [label("grpc_response_status", grpcStatusLabel(series.grpcStatus))]
      : []),
    label("response_flags", series.flags),
    // Istio reports the policy where it is enforced; the caller's side says unknown.
    label(
      "connection_security_policy",
      labels.reporter === "source" ? "unknown" : labels.mtls ? "mutual_tls" : "none",
    ),
  ].join(",");
  totals.push(`istio_requests_total{${all}} ${series.count}`);
  const name = "istio_request_duration_milliseconds";
  let cumulative = 0;
  for (let i = 0; i < DURATION_BUCKETS_MS.length; i++) {
    cumulative += series.durations.counts[i] as number;
    durations.push(`${name}_bucket{${all},le="${DURATION_BUCKETS_MS[i]}"} ${cumulative}`);
  }
  durations.push(
    `${name}_bucket{${all},le="+Inf"} ${series.count}`,
    `${name}_sum{${all}} ${series.durations.sum}`,
    `${name}_count{${all}} ${series.count}`,
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
