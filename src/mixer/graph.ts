/** The service graph as `GET /api/graph` and `bowline graph` show it, made from the telemetry store. */
import { compareTexts } from "../lib/compare_texts.ts";
import { type Counts, type EdgeTally, type Latency, latencyOf, WINDOW_MS } from "./edge_tally.ts";
import { type Edge, nodeId, type TelemetryStore } from "./telemetry_store.ts";

export interface Graph {
  /** ISO 8601, UTC. */
  readonly generatedAt: string;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

export interface GraphNode {
  /** `NAMESPACE/NAME`. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly app: string;
  readonly version: string;
}

export interface GraphEdge {
  /** Ids of nodes. */
  readonly source: string;
  readonly destination: string;
  /** Host of the service that was called. */
  readonly service: string;
  readonly protocol: Edge["protocol"];
  /** In TCP, connections that began. */
  readonly requests: number;
  /**
   * Calls that ended with a status of 500 or above, or with none; in gRPC, with any status but OK; in TCP, with a
   * response flag.
   */
  readonly errors: number;
  /** 0 … 1, rounded down to four decimals, so that 1 means no error at all. */
  readonly successRate: number;
  /** Over the last minute, or the window that was asked for. */
  readonly requestsPerSecond: number;
  /** Null when nothing was measured. */
  readonly latencyMs: Latency;
  readonly mtls: boolean;
  /** Bytes of request bodies, or from the client through TCP connections; those of older proxies are missing. */
  readonly receivedBytes: number;
  /** Bytes of response bodies, or to the client through TCP connections. */
  readonly sentBytes: number;
  /** Calls by status code. */
  readonly responses: Readonly<Record<string, number>>;
}

export interface GraphOptions {
  /** Counts only the last milliseconds (at most WINDOW_MS), and leaves out edges without calls in it. @default everything */
  readonly windowMs?: number;
}

/** Sorted by id, so that equal stores give equal graphs. */
export function buildGraph(store: TelemetryStore, options: GraphOptions = {}): Graph {
  const nodes = new Map<string, GraphNode>();
  const edges: GraphEdge[] = [];
  const stored = [...store.edges()];
  const nowMs = store.clock.monotonic();
  for (const { edge, tally } of chooseReporters(stored)) {
    const graphEdge = edgeOf(edge, tally, nowMs, options.windowMs);
    if (graphEdge === undefined) continue;
    edges.push(graphEdge);
  }
  const seen = new Set(edges.flatMap(({ source, destination }) => [source, destination]));
  for (const edge of stored) addNodes(nodes, edge, seen);
  return {
    generatedAt: new Date(store.clock.now()).toISOString(),
    nodes: [...nodes.values()].sort((a, b) => compareTexts(a.id, b.id)),
    edges: edges.sort((a, b) => compareTexts(sortKey(a), sortKey(b))),
  };
}

/**
 * Both ends report every call. The source's word is preferred, since only it saw the calls that never arrived; the
 * destination's counts for callers that do not report.
 */
function chooseReporters(edges: readonly Edge[]): { edge: Edge; tally: EdgeTally }[] {
  // The two ends may name the service differently when one port stands behind several services.
  const pair = (edge: Edge) => `${nodeId(edge.source)} ${nodeId(edge.destination)} ${edge.protocol}`;
  const bySource = new Set(edges.filter((edge) => edge.bySource !== undefined).map(pair));
  const chosen: { edge: Edge; tally: EdgeTally }[] = [];
  for (const edge of edges) {
    const tally = edge.bySource ?? (bySource.has(pair(edge)) ? undefined : edge.byDestination);
    if (tally !== undefined) chosen.push({ edge, tally });
  }
  return chosen;
}

function edgeOf(
  edge: Edge,
  tally: EdgeTally,
  nowMs: number,
  windowMs: number | undefined,
): GraphEdge | undefined {
  const window = tally.window(nowMs, windowMs ?? WINDOW_MS);
  const counts: Counts = windowMs === undefined ? tally.total : window;
  const { requests, errors, receivedBytes, sentBytes } = counts;
  // A connection may have begun long before what it carries.
  if (requests + errors + receivedBytes + sentBytes === 0) return undefined;
  const latency = latencyOf(counts);
  return {
    source: nodeId(edge.source),
    destination: nodeId(edge.destination),
    service: edge.service.host,
    protocol: edge.protocol,
    requests,
    errors,
    successRate: errors === 0
      ? 1
      : Math.floor(Math.max(0, requests - errors) * 10_000 / Math.max(1, requests)) / 10_000,
    requestsPerSecond: round(window.requests * 1000 / window.coveredMs, 2),
    latencyMs: { p50: roundMs(latency.p50), p90: roundMs(latency.p90), p99: roundMs(latency.p99) },
    mtls: edge.mtls,
    receivedBytes,
    sentBytes,
    responses: Object.fromEntries([...counts.responses].sort(([a], [b]) => a - b)),
  };
}

/** What a workload says of itself beats what others say of it. */
function addNodes(nodes: Map<string, GraphNode>, edge: Edge, wanted: ReadonlySet<string>): void {
  const ends = [
    { workload: edge.source, own: edge.bySource !== undefined },
    { workload: edge.destination, own: edge.byDestination !== undefined },
  ];
  for (const { workload, own } of ends) {
    const id = nodeId(workload);
    if (!wanted.has(id) || (nodes.has(id) && !own)) continue;
    const { namespace, name, app, version } = workload;
    nodes.set(id, { id, namespace, name, app, version });
  }
}

function sortKey(edge: GraphEdge): string {
  return `${edge.source} ${edge.destination} ${edge.service} ${edge.protocol} ${edge.mtls}`;
}

function roundMs(value: number | null): number | null {
  return value === null ? null : round(value, 3);
}

function round(value: number, decimals: number): number {
  return Math.round(value * 10 ** decimals) / 10 ** decimals;
}
