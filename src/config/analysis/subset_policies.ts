/** BOW0017: a subset with a policy of its own that no route names; the policy then applies to nothing. */
import { CODES } from "../codes.ts";
import { hostMatches, resolveHost } from "../host.ts";
import { type Analyzer, notice } from "./analyzer.ts";
import { destinations } from "./destinations.ts";

export const subsetPolicies: Analyzer = function* (resources) {
  const named = Map.groupBy(destinations(resources), (to) => to.subset);
  for (const resource of resources.destinationRules) {
    const host = resolveHost(resource.spec.host, resource.namespace);
    for (const [index, { name, trafficPolicy }] of resource.spec.subsets.entries()) {
      if (trafficPolicy === null) continue;
      if (named.get(name)?.some((to) => hostMatches(host, to.host))) continue;
      yield notice(
        CODES.subsetPolicyUnused,
        resource,
        ["spec", "subsets", index, "trafficPolicy"],
        `no route names the subset "${name}", and its policy applies to no other calls`,
        "route to the subset in a VirtualService, or move the policy up to the rule",
      );
    }
  }
};
