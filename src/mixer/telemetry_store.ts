/** Who called whom, how often and how well, as the proxies report it: in memory, bounded, gone with the process. */
import type { Clock } from "../lib/clock.ts";
import type { EdgeReport, TelemetryReport } from "../model/report.ts";
import type { ServiceInfo, WorkloadInfo } from "../model/call_info.ts";
import { EdgeTally } from "./edge_tally.ts";

/** Edges that are kept. */
export const EDGES_MAX = 10_000;

/** Edges that one identity may have brought in, so that no workload can fill the store with inventions. */
const EDGES_PER_REPORTER_MAX = 1_000;

/** An edge without calls for this long makes room for a new one, when there is no other room. */
export const EDGE_IDLE_MS = 60 * 60 * 1000;

/** Whoever sent a report, by its certificate. */
export interface ReportingPeer {
  readonly namespace: string;
  /** SPIFFE ID. */
  readonly principal: string;
}

/** One way between two workloads, for one service, in one protocol, with or without mTLS. */
export interface Edge {
  readonly source: WorkloadInfo;
  readonly destination: WorkloadInfo;
  readonly service: ServiceInfo;
  readonly protocol: EdgeReport["protocol"];
  readonly mtls: boolean;
  /** What the caller's proxy counted; undefined when it never reported the edge. */
  readonly bySource: EdgeTally | undefined;
  /** What the called workload's proxy counted. */
  readonly byDestination: EdgeTally | undefined;
}

interface StoredEdge extends Edge {
  source: WorkloadInfo;
  destination: WorkloadInfo;
  bySource: EdgeTally | undefined;
  byDestination: EdgeTally | undefined;
  /** Principal that brought the edge in. */
  readonly owner: string;
  lastMs: number;
}

export interface StoreLimits {
  readonly edges: number;
  readonly edgesPerReporter: number;
}

export class TelemetryStore {
  readonly #clock: Clock;
  readonly #limits: StoreLimits;
  /** By edgeKey(), the least recently reported first. */
  readonly #edges = new Map<string, StoredEdge>();
  readonly #edgesByOwner = new Map<string, number>();
  #overflowed = 0;
  #refused = 0;

  constructor(
    clock: Clock,
    limits: StoreLimits = { edges: EDGES_MAX, edgesPerReporter: EDGES_PER_REPORTER_MAX },
  ) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * Adds a validated report. Everybody may speak for themselves only: edges whose reporting end is not the peer are
   * left out. Returns how many those were, for the log.
   */
  add(report: TelemetryReport, peer: ReportingPeer): number {
    let refused = 0;
    for (const edge of report.edges) {
      const own = edge[edge.reporter];
      if (own.principal === peer.principal && own.namespace === peer.namespace) {
        this.#addEdge(edge, peer.principal);
      } else refused++;
    }
    this.#refused += refused;
    return refused;
  }

  /** All edges, in no particular order. */
  edges(): Iterable<Edge> {
    return this.#edges.values();
  }

  get size(): number {
    return this.#edges.size;
  }

  /** How many reported edges found no room; their counts are lost. */
  get overflowed(): number {
    return this.#overflowed;
  }

  /** How many reported edges were left out because they were not the reporter's own. */
  get refused(): number {
    return this.#refused;
  }

  get clock(): Clock {
    return this.#clock;
  }

  #addEdge(report: EdgeReport, owner: string): void {
    const nowMs = this.#clock.monotonic();
    const key = edgeKey(report);
    const edge = this.#edges.get(key) ?? this.#newEdge(report, owner, nowMs);
    if (edge === undefined) {
      this.#overflowed++;
      return;
    }
    if (report.reporter === "source") {
      edge.source = report.source;
      if (edge.byDestination === undefined) edge.destination = report.destination;
      edge.bySource ??= new EdgeTally(nowMs);
      edge.bySource.add(report, nowMs);
    } else {
      edge.destination = report.destination;
      if (edge.bySource === undefined) edge.source = report.source;
      edge.byDestination ??= new EdgeTally(nowMs);
      edge.byDestination.add(report, nowMs);
    }
    edge.lastMs = nowMs;
    // Moves it to the end of the map's order.
    this.#edges.delete(key);
    this.#edges.set(key, edge);
  }

  #newEdge(report: EdgeReport, owner: string, nowMs: number): StoredEdge | undefined {
    if ((this.#edgesByOwner.get(owner) ?? 0) >= this.#limits.edgesPerReporter) this.#dropIdle(nowMs, owner);
    if ((this.#edgesByOwner.get(owner) ?? 0) >= this.#limits.edgesPerReporter) return undefined;
    if (this.#edges.size >= this.#limits.edges) this.#dropIdle(nowMs);
    if (this.#edges.size >= this.#limits.edges) return undefined;
    this.#edgesByOwner.set(owner, (this.#edgesByOwner.get(owner) ?? 0) + 1);
    const { source, destination, service, protocol, mtls } = report;
    return {
      source,
      destination,
      service,
      protocol,
      mtls,
      bySource: undefined,
      byDestination: undefined,
      owner,
      lastMs: nowMs,
    };
  }

  /** Drops the edge that was idle longest, if that is long enough; of one owner, where one is given. */
  #dropIdle(nowMs: number, owner?: string): void {
    for (const [key, edge] of this.#edges) {
      if (nowMs - edge.lastMs < EDGE_IDLE_MS) return;
      if (owner !== undefined && edge.owner !== owner) continue;
      this.#edges.delete(key);
      const left = (this.#edgesByOwner.get(edge.owner) ?? 1) - 1;
      if (left === 0) this.#edgesByOwner.delete(edge.owner);
      else this.#edgesByOwner.set(edge.owner, left);
      return;
    }
  }
}

/** `NAMESPACE/NAME` of a workload, `unknown` for one that nobody could name. */
export function nodeId(workload: WorkloadInfo): string {
  if (workload.name === "" || workload.name === "unknown") return "unknown";
  return workload.namespace === "" ? workload.name : `${workload.namespace}/${workload.name}`;
}

/** Names have no blanks (report_validation.ts), so that a blank keeps them apart. */
function edgeKey(edge: EdgeReport): string {
  return [nodeId(edge.source), nodeId(edge.destination), edge.service.host, edge.protocol, edge.mtls].join(
    " ",
  );
}
