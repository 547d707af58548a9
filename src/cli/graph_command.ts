/** `bowline graph`: who called whom, as the control plane's telemetry store has it. */
import type { Graph, GraphEdge } from "../mixer/graph.ts";
import { AdminClient } from "./admin_client.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { type Column, formatTable, type OutputFormat, printData, printMessage } from "./output.ts";

export interface GraphOptions {
  readonly data?: string;
  readonly output: OutputFormat;
}

const COLUMNS: readonly Column[] = [
  { title: "SOURCE" },
  { title: "DESTINATION" },
  { title: "SERVICE" },
  { title: "RATE", align: "right" },
  { title: "REQUESTS", align: "right" },
  { title: "SUCCESS", align: "right" },
  { title: "P50", align: "right" },
  { title: "P90", align: "right" },
  { title: "P99", align: "right" },
  { title: "MTLS" },
];

/** JSON is what `GET /api/graph` answers. */
export async function runGraph({ data, output }: GraphOptions): Promise<ExitCode> {
  const graph = await new AdminClient(data).get("/api/graph") as Graph;
  if (output === "table" && graph.edges.length === 0) {
    printMessage(
      "No calls were reported yet; send one through a sidecar, curl -x http://127.0.0.1:15001 http://SERVICE/, " +
        "and see bowline proxy-status for who has joined",
    );
    return EXIT.ok;
  }
  await printData(output, graph, () => formatTable(COLUMNS, graph.edges.map(row)));
  return EXIT.ok;
}

function row(edge: GraphEdge): string[] {
  const { source, destination, service, requestsPerSecond, requests, successRate, latencyMs, mtls } = edge;
  return [
    source,
    destination,
    service,
    `${requestsPerSecond}/s`,
    String(requests),
    percentage(successRate),
    milliseconds(latencyMs.p50),
    milliseconds(latencyMs.p90),
    milliseconds(latencyMs.p99),
    mtls ? "yes" : "no",
  ];
}

/** A share that is rounded down to four decimals: 100% means that not one call failed. */
function percentage(share: number): string {
  return `${Math.round(share * 10_000) / 100}%`;
}

function milliseconds(value: number | null): string {
  return value === null ? "-" : `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)}ms`;
}
