/** A workload that somebody asks for by its name: whether it is one, and whether the mesh knows it. */
import { nearest } from "../../lib/edit_distance.ts";
import { parseWorkloadKey, type WorkloadKey } from "../../model/workload.ts";

/** Why nothing can be said of it; null: it is known. */
export function workloadFault(workload: WorkloadKey, known: ReadonlySet<WorkloadKey>): string | null {
  if (parseWorkloadKey(workload) === undefined) {
    return `A workload is NAMESPACE/NAME in lower case, not ${JSON.stringify(workload)}`;
  }
  if (known.has(workload)) return null;
  const meant = nearest(workload, known);
  const hint = meant === undefined
    ? "bowline proxy-status lists those that are connected"
    : `did you mean ${meant}?`;
  return `No workload is ${workload}; ${hint}`;
}
