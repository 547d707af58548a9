/** Walks the policies of DestinationRules: of the rule, of its subsets, and of their ports. */
import { resolveHost } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import type { DestinationRuleSpec } from "../schema/destination_rule.ts";
import type { PortPolicy, TrafficPolicy } from "../schema/traffic_policy.ts";
import type { FieldPath } from "./analyzer.ts";
import type { Labels } from "../../model/labels.ts";

export interface PlacedPolicy {
  readonly resource: ConfigResource<DestinationRuleSpec>;
  /** Full, or a wildcard. */
  readonly host: string;
  /** Of the subset that it is for; nothing for the rule's own. */
  readonly labels: Labels;
  readonly path: FieldPath;
  readonly policy: TrafficPolicy | PortPolicy;
  /** Null for the policy of all ports. */
  readonly port: number | null;
}

type Owner = Pick<PlacedPolicy, "resource" | "host" | "labels">;

export function* policies({ destinationRules }: ResourceSet): Generator<PlacedPolicy> {
  for (const resource of destinationRules) {
    const { host: written, trafficPolicy, subsets } = resource.spec;
    const host = resolveHost(written, resource.namespace);
    yield* withPorts({ resource, host, labels: {} }, trafficPolicy, ["spec", "trafficPolicy"]);
    for (const [index, { labels, trafficPolicy }] of subsets.entries()) {
      yield* withPorts({ resource, host, labels }, trafficPolicy, [
        "spec",
        "subsets",
        index,
        "trafficPolicy",
      ]);
    }
  }
}

/** The policies for all ports, which alone have some of the settings. */
export function* wholePolicies(
  resources: ResourceSet,
): Generator<PlacedPolicy & { readonly policy: TrafficPolicy }> {
  for (const placed of policies(resources)) {
    const { policy } = placed;
    if ("portLevelSettings" in policy) yield { ...placed, policy };
  }
}

function* withPorts(
  owner: Owner,
  policy: TrafficPolicy | null,
  path: FieldPath,
): Generator<PlacedPolicy> {
  if (policy === null) return;
  yield { ...owner, path, policy, port: null };
  for (const [index, own] of policy.portLevelSettings.entries()) {
    yield { ...owner, path: [...path, "portLevelSettings", index], policy: own, port: own.port };
  }
}
