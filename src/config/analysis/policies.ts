/** Walks the policies of DestinationRules: of the rule, of its subsets, and of their ports. */
import type { ConfigResource, ResourceSet } from "../resource.ts";
import type { DestinationRuleSpec } from "../schema/destination_rule.ts";
import type { PortPolicy, TrafficPolicy } from "../schema/traffic_policy.ts";
import type { FieldPath } from "./analyzer.ts";

export interface PlacedPolicy {
  readonly resource: ConfigResource<DestinationRuleSpec>;
  readonly path: FieldPath;
  readonly policy: TrafficPolicy | PortPolicy;
  /** Null for the policy of all ports. */
  readonly port: number | null;
}

export function* policies({ destinationRules }: ResourceSet): Generator<PlacedPolicy> {
  for (const resource of destinationRules) {
    const { trafficPolicy, subsets } = resource.spec;
    yield* withPorts(resource, trafficPolicy, ["spec", "trafficPolicy"]);
    for (const [index, subset] of subsets.entries()) {
      yield* withPorts(resource, subset.trafficPolicy, ["spec", "subsets", index, "trafficPolicy"]);
    }
  }
}

function* withPorts(
  resource: ConfigResource<DestinationRuleSpec>,
  policy: TrafficPolicy | null,
  path: FieldPath,
): Generator<PlacedPolicy> {
  if (policy === null) return;
  yield { resource, path, policy, port: null };
  for (const [index, own] of policy.portLevelSettings.entries()) {
    yield { resource, path: [...path, "portLevelSettings", index], policy: own, port: own.port };
  }
}
