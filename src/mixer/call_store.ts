/** The kinds of calls that sidecars saw come to their workloads, since the control plane's start, in memory. */
import { compareTexts } from "../lib/compare_texts.ts";
import { callKey, type CallShape, RECORDED_CALLS_MAX, type RecordedCall } from "../model/recorded_call.ts";
import type { WorkloadCalls } from "../model/report.ts";
import type { WorkloadKey } from "../model/workload.ts";
import type { ReportingPeer } from "./telemetry_store.ts";

/** Kinds of calls to all workloads together. */
const STORED_CALLS_MAX = 100_000;

/** What is known of the calls to one workload. */
export interface SeenCalls {
  readonly workload: WorkloadKey;
  /** SPIFFE ID of the sidecar that told of them. */
  readonly principal: string;
  readonly calls: readonly RecordedCall[];
  /** Calls of which there is a number and no more. */
  readonly omitted: number;
}

type StoredCall = CallShape & { address: string; allowed: number; refused: number };

interface StoredWorkload {
  readonly workload: WorkloadKey;
  readonly principal: string;
  readonly calls: Map<string, StoredCall>;
  omitted: number;
}

export interface CallStoreLimits {
  readonly calls: number;
  readonly callsPerWorkload: number;
}

export class CallStore {
  readonly #limits: CallStoreLimits;
  /** By principal and workload: whoever claims to be a workload that it is not stands beside it, not in its place. */
  readonly #workloads = new Map<string, StoredWorkload>();
  #size = 0;

  constructor(limits: CallStoreLimits = { calls: STORED_CALLS_MAX, callsPerWorkload: RECORDED_CALLS_MAX }) {
    this.#limits = limits;
  }

  /** Adds what a validated report says; false: it is about a workload of another namespace than the peer's. */
  add({ workload, calls, omitted }: WorkloadCalls, peer: ReportingPeer): boolean {
    if (!isOf(workload, peer)) return false;
    const { principal } = peer;
    const key = `${principal} ${workload}`;
    let stored = this.#workloads.get(key);
    if (stored === undefined) {
      if (this.#size >= this.#limits.calls) return true;
      stored = { workload, principal, calls: new Map(), omitted: 0 };
      this.#workloads.set(key, stored);
    }
    stored.omitted += omitted;
    for (const call of calls) this.#addCall(stored, call);
    return true;
  }

  /** Sorted by workload. */
  seen(): SeenCalls[] {
    return [...this.#workloads.values()]
      .map(({ calls, ...rest }) => ({ ...rest, calls: [...calls.values()] }))
      .sort((a, b) => compareTexts(a.workload, b.workload));
  }

  #addCall(stored: StoredWorkload, { address, allowed, refused, ...shape }: RecordedCall): void {
    const key = callKey(shape);
    let call = stored.calls.get(key);
    if (call === undefined) {
      if (stored.calls.size >= this.#limits.callsPerWorkload || this.#size >= this.#limits.calls) {
        stored.omitted += allowed + refused;
        return;
      }
      call = { ...shape, address, allowed: 0, refused: 0 };
      stored.calls.set(key, call);
      this.#size++;
    }
    call.address = address;
    call.allowed += allowed;
    call.refused += refused;
  }
}

/** Whether the workload can be the peer's: names are the files' matter, namespaces are in certificates. */
export function isOf(workload: WorkloadKey, { namespace }: ReportingPeer): boolean {
  return workload.startsWith(`${namespace}/`);
}
