/** Who somebody is in the mesh that may join: the identity is what the files say of the workload or the group. */
import { newMemberKey } from "../citadel/member_key.ts";
import type { Joiner } from "../citadel/check_joiner.ts";
import { nearest } from "../lib/edit_distance.ts";
import type { WorkloadRegistry } from "../pilot/registry.ts";

/** Nobody can be that. The message is for whoever asked. */
export class JoinerError extends Error {
  override readonly name = "JoinerError";
}

/** Who a token is for: one workload, or a new member of a group. Throws JoinerError. */
export function joinerOf(
  { workload, group }: { readonly workload?: unknown; readonly group?: unknown },
  registry: WorkloadRegistry,
): Joiner {
  if (group !== undefined) {
    const spiffeId = typeof group === "string" ? registry.groups.spiffeId(group) : undefined;
    if (typeof group !== "string" || spiffeId === undefined || workload !== undefined) {
      throw new JoinerError(
        workload === undefined
          ? `The files have no WorkloadGroup ${JSON.stringify(group)}${meant(String(group), registry)}`
          : "A token is for a workload or for a member of a group, not for both",
      );
    }
    return { workload: newMemberKey(group), group, spiffeId };
  }
  const spiffeId = typeof workload === "string" ? registry.expectedSpiffeId(workload) : undefined;
  if (typeof workload !== "string" || spiffeId === undefined) {
    throw new JoinerError(
      `A workload is NAMESPACE/NAME in lower case, not ${JSON.stringify(workload ?? null)}`,
    );
  }
  // Who is a member joins again as one.
  return { workload, group: registry.groups.keyOf(workload), spiffeId };
}

function meant(group: string, { groups }: WorkloadRegistry): string {
  const near = nearest(group, groups.keys());
  return near === undefined ? "" : `; did you mean ${near}?`;
}
