/** IST0167: policies that have no effect, whatever they select. */
import { hasLabels, type Labels } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import type { PeerAuthenticationSpec } from "../schema/peer_authentication.ts";
import { wantedBy } from "../selector.ts";
import { type Analyzer, located, warning } from "./analyzer.ts";
import { knownWorkloads } from "./known_workloads.ts";

export const ineffectivePolicies: Analyzer = function* (resources) {
  yield* withoutRules(resources);
  yield* outdone(resources);
};

/** No rules of an ALLOW policy allow nothing, which is something; of the others they match nothing. */
function* withoutRules({ authorizationPolicies }: ResourceSet): Generator<Finding> {
  for (const resource of authorizationPolicies) {
    const { action, rules } = resource.spec;
    if (action === "ALLOW" || rules.length > 0) continue;
    const message = `the policy has no effect: without rules ${action} matches no request`;
    yield warning(CODES.ineffectivePolicy, resource, ["spec"], message, "add rules: [{}] to match all");
  }
}

/** Of several for the same workloads only the first by name counts. */
function* outdone(resources: ResourceSet): Generator<Finding> {
  const workloads = knownWorkloads(resources);
  const earlier: ConfigResource<PeerAuthenticationSpec>[] = [];
  for (const resource of resources.peerAuthentications) {
    const wanted = wantedBy(resource);
    const isForAll = Object.keys(wanted).length === 0;
    const rivals = earlier.filter(({ namespace }) => namespace === resource.namespace);
    earlier.push(resource);
    const first = isForAll
      ? rivals.find((rival) => Object.keys(wantedBy(rival)).length === 0)
      : rivals.find((rival) => coversAll(rival, workloads.selected(resource.namespace, wanted)));
    if (first === undefined) continue;
    yield warning(
      CODES.ineffectivePolicy,
      resource,
      ["spec"],
      `the policy has no effect: ${
        located(first)
      } is for the same workloads, and only the first by name counts`,
      "merge them into one",
    );
  }
}

/** Whether a policy for chosen workloads has all of these, of which there are some. */
function coversAll(
  rival: ConfigResource<PeerAuthenticationSpec>,
  selected: readonly Labels[],
): boolean {
  const wanted = wantedBy(rival);
  return Object.keys(wanted).length > 0 && selected.length > 0 &&
    selected.every((labels) => hasLabels(labels, wanted));
}
