/**
 * What the process of a sidecar and its workers say to each other: plain data. Both ends are the same executable, so
 * there are no versions; what does not look right ends the worker, whose state is then unknown.
 */
import type { CallReport } from "../../model/recorded_call.ts";
import type { TapReport } from "../../model/tap.ts";
import type { EdgeReport } from "../../model/report.ts";
import { readShutPorts, type ShutPort } from "../../model/shut_port.ts";
import type { ResourceKey, VersionedResource } from "../../model/snapshot.ts";
import type { Side } from "../../proxy/listener/connection_gate.ts";
import type { ProxyRefusals } from "../../proxy/proxy_options.ts";
import type { TlsMaterial } from "../../runtime/tls_options.ts";
import type { DataPlaneSettings } from "../data_plane.ts";
import type { PolicyCountReport } from "../../telemetry/policy_counts.ts";
import { NOTHING_TAPPED } from "../../telemetry/tap.ts";
import { NO_REFUSALS } from "./refusal_sums.ts";
import type { SnapshotChange } from "../snapshot_change.ts";

/** What has an `id` is answered with that id, in any order. */
export type ToWorker = Start | Change | UseIdentity | OpenTap | Collect | Close | Drain | DrainOlder | End;
export type FromWorker = Greeting | Done | Counts | Failure;

/** Everything that a worker needs to serve. Answered by Done once it listens. */
export interface Start {
  readonly type: "start";
  readonly id: number;
  readonly settings: DataPlaneSettings;
  readonly identity: TlsMaterial;
  readonly snapshot: readonly (readonly [ResourceKey, VersionedResource])[];
}

/** Answered by Done once it serves by it. */
export interface Change extends SnapshotChange {
  readonly type: "change";
  readonly id: number;
}

/** Not answered. */
export interface UseIdentity {
  readonly type: "identity";
  readonly identity: TlsMaterial;
}

/** Calls are told as they end, for so long. Not answered. */
export interface OpenTap {
  readonly type: "tap";
  readonly leaseMs: number;
}

/** Answered by Counts. */
export interface Collect {
  readonly type: "collect";
  readonly id: number;
}

/** Answered by Done once it listens no more on that side. */
export interface Close {
  readonly type: "close";
  readonly id: number;
  readonly side: Side;
}

/** Answered by Done when nothing is in flight any more on that side, which was closed before, or the time is up. */
export interface Drain {
  readonly type: "drain";
  readonly id: number;
  readonly side: Side;
  readonly timeoutMs: number;
}

/** Answered by Done when what is in flight now on that side, which stays open, is over, or the time is up. */
export interface DrainOlder {
  readonly type: "drain-older";
  readonly id: number;
  readonly side: Side;
  readonly timeoutMs: number;
}

/** Breaks off what is still in flight. Answered by Counts, the last ones; the worker then ends. */
export interface End {
  readonly type: "end";
  readonly id: number;
}

/** The worker's first message: it listens for messages. */
export interface Greeting {
  readonly type: "hello";
}

export interface Done {
  readonly type: "done";
  readonly id: number;
}

export interface Counts {
  readonly type: "counts";
  readonly id: number;
  readonly counts: WorkerCounts;
}

/** The worker's last message: it could not do what it was asked. */
export interface Failure {
  readonly type: "failed";
  readonly reason: string;
}

export interface WorkerCounts {
  /** Differences since the last Counts. */
  readonly edges: readonly EdgeReport[];
  /** Differences, as above. */
  readonly decisions: readonly PolicyCountReport[];
  /** Differences, as above. */
  readonly calls: CallReport;
  /** Since the last Counts, where somebody watches. */
  readonly tapped: TapReport;
  /** Since the worker's start. */
  readonly refusals: ProxyRefusals;
  readonly connections: number;
  readonly shutPorts: readonly ShutPort[];
}

/** Of a worker that serves nobody yet. */
export const NOTHING_COUNTED: WorkerCounts = {
  edges: [],
  decisions: [],
  calls: { calls: [], omitted: 0 },
  tapped: NOTHING_TAPPED,
  refusals: NO_REFUSALS,
  connections: 0,
  shutPorts: [],
};

/** Throws TypeError for what is none. */
export function readToWorker(value: unknown): ToWorker {
  const message = value as ToWorker;
  const known = isObject(value) &&
    ["start", "change", "identity", "tap", "collect", "close", "drain", "drain-older", "end"].includes(
      message.type,
    );
  if (known && (message.type === "identity" || message.type === "tap" || Number.isInteger(message.id))) {
    return message;
  }
  throw new TypeError("It is no message for a worker");
}

/** Throws TypeError for what is none, or has anything but numbers where something is counted. */
export function readFromWorker(value: unknown): FromWorker {
  const message = value as FromWorker;
  if (isObject(value)) {
    if (message.type === "hello") return message;
    if (message.type === "failed" && typeof message.reason === "string") return message;
    if (message.type === "done" && Number.isInteger(message.id)) return message;
    if (message.type === "counts" && Number.isInteger(message.id) && isCounts(message.counts)) return message;
  }
  throw new TypeError("It is no message of a worker");
}

function isCounts(value: unknown): boolean {
  const { edges, decisions, calls, tapped, refusals, connections, shutPorts } = (value ?? {}) as Partial<
    WorkerCounts
  >;
  return Array.isArray(edges) && edges.every(isReport) &&
    Array.isArray(decisions) && decisions.every((one) => isObject(one) && countsOnly(one)) &&
    isObject(tapped) && Array.isArray(tapped.calls) && isCount(tapped.omitted) &&
    isObject(calls) && countsOnly(calls) && Array.isArray(calls.calls) && isCount(connections) &&
    isRefusals(refusals) && readShutPorts(shutPorts) !== undefined;
}

/** Which numbers there are is telemetry's matter; none of them may be what JSON makes of NaN. */
function isReport(value: unknown): boolean {
  const { reporter, source, destination, service, responses } = (value ?? {}) as Partial<EdgeReport>;
  return (reporter === "source" || reporter === "destination") &&
    [source, destination, service].every(isObject) && Array.isArray(responses) && countsOnly(value);
}

function countsOnly(value: unknown): boolean {
  if (isObject(value)) return Object.values(value).every(countsOnly);
  return typeof value === "string" || typeof value === "boolean" || isCount(value);
}

function isRefusals(value: unknown): boolean {
  const { downstream, upstream, requests } = (value ?? {}) as Partial<ProxyRefusals>;
  return isCount(requests) &&
    [downstream, upstream].every((group) => isObject(group) && Object.values(group).every(isCount));
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && Number.isFinite(value);
}
