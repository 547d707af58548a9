/** `bowline graph`: who called whom, as the control plane's telemetry store has it. */
import type { Graph, GraphEdge } from "../mixer/graph.ts";
import { AdminClient } from "./admin_client.ts";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { type Column, formatTable, type OutputFormat, printData, printMessage } from "./output.ts";

export interface GraphOptions {
  readonly data?: string;
  readonly output: OutputFormat;
}

const REQUEST_COLUMNS: readonly Column[] = [
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

const CONNECTION_COLUMNS: readonly Column[] = [
  { title: "SOURCE" },
  { title: "DESTINATION" },
  { title: "SERVICE" },
  { title: "RATE", align: "right" },
  { title: "CONNECTIONS", align: "right" },
  { title: "SUCCESS", align: "right" },
  { title: "RECEIVED", align: "right" },
  { title: "SENT", align: "right" },
  { title: "MTLS" },
];

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

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
  await printData(output, graph, () => tables(graph.edges));
  return EXIT.ok;
}

/** Requests first, then TCP connections. */
function tables(edges: readonly GraphEdge[]): string {
  const connections = edges.filter(({ protocol }) => protocol === "tcp");
  const requests = edges.filter(({ protocol }) => protocol !== "tcp");
  const parts: string[] = [];
  if (requests.length > 0) parts.push(formatTable(REQUEST_COLUMNS, requests.map(requestRow)));
  if (connections.length > 0) parts.push(formatTable(CONNECTION_COLUMNS, connections.map(connectionRow)));
  return parts.join("\n\n");
}

function connectionRow(edge: GraphEdge): string[] {
  return [
    edge.source,
    edge.destination,
    edge.service,
    `${edge.requestsPerSecond}/s`,
    String(edge.requests),
    percentage(edge.successRate),
    bytes(edge.receivedBytes),
    bytes(edge.sentBytes),
    edge.mtls ? "yes" : "no",
  ];
}

function requestRow(edge: GraphEdge): string[] {
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

function bytes(count: number): string {
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, count)) / 10));
  return `${Math.round(count / 1024 ** unit * 10) / 10}${UNITS[unit]}`;
}

function milliseconds(value: number | null): string {
  return value === null ? "-" : `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)}ms`;
}
