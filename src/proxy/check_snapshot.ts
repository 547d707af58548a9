/** Whether a snapshot compiles, asked where it does not serve. */
import type { Clock } from "../lib/clock.ts";
import { Prng } from "../lib/prng.ts";
import { TimerWheel } from "../lib/timer_wheel.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { EdgeRegistry } from "../telemetry/edge_metrics.ts";
import { PolicyCounts } from "../telemetry/policy_counts.ts";
import { HostTable } from "./cluster/host_table.ts";
import { compileSnapshot } from "./compile_snapshot.ts";

/** In what is compiled to be thrown away nothing ever falls due. */
const STOPPED: Clock = { now: () => 0, monotonic: () => 0, after: () => () => {} };

/**
 * Throws what compiling throws. The same code on the same data has one outcome: what compiles here does in every
 * process of this executable. Nothing is connected to, and nothing is kept.
 */
export function checkSnapshot(snapshot: Snapshot): void {
  const wheel = new TimerWheel(STOPPED);
  const random = new Prng(1);
  const hosts = new HostTable({
    clock: STOPPED,
    wheel,
    trustDomain: "",
    connect() {},
    tlsMaterial: () => null,
    warn() {},
  });
  const edges = new EdgeRegistry();
  const decisions = new PolicyCounts();
  compileSnapshot(snapshot, {
    ...{ hosts, edges, decisions, random, wheel },
    clock: STOPPED,
    previous: null,
    deliverTo: "",
  });
}
