/** Whoever receives a call that is explained. */
import type { Snapshot } from "../../model/snapshot.ts";
import type { WorkloadKey } from "../../model/workload.ts";

/** What the proxy of a workload has; undefined: nothing is known of it. */
export type Receiver = (workload: WorkloadKey) => Snapshot | undefined;
