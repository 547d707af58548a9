/** Who may be somebody in the mesh at all, whoever vouches for it. */
import { controlPlaneId, parseSpiffeId } from "../model/spiffe_id.ts";
import { parseWorkloadKey, type WorkloadKey } from "../model/workload.ts";
import { CitadelError } from "./citadel_error.ts";

/** Who somebody is in the mesh. */
export interface Joiner {
  readonly workload: WorkloadKey;
  readonly group?: WorkloadKey | undefined;
  readonly spiffeId: string;
}

/** Throws CitadelError `request_invalid` when nobody may be that. */
export function checkJoiner({ workload, group, spiffeId }: Joiner, trustDomain: string): void {
  const name = parseWorkloadKey(workload);
  if (name === undefined) {
    throw new CitadelError(
      "request_invalid",
      `A workload is NAMESPACE/NAME, not ${JSON.stringify(workload)}`,
    );
  }
  const id = parseSpiffeId(spiffeId);
  if (id?.trustDomain !== trustDomain || id.namespace !== name.namespace) {
    throw new CitadelError(
      "request_invalid",
      `${JSON.stringify(spiffeId)} is no identity of ${trustDomain} in namespace ${name.namespace}`,
    );
  }
  if (spiffeId === controlPlaneId(trustDomain)) {
    throw new CitadelError("request_invalid", `${spiffeId} is the control plane's own identity`);
  }
  if (group !== undefined && parseWorkloadKey(group)?.namespace !== name.namespace) {
    throw new CitadelError(
      "request_invalid",
      `${JSON.stringify(group)} is no WorkloadGroup of namespace ${name.namespace}`,
    );
  }
}
