/** BOW0044: settings for one port beside settings for all: the port then has none of those. */
import { CODES } from "../codes.ts";
import type { TrafficPolicy } from "../schema/traffic_policy.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { policies } from "./policies.ts";

const SETTINGS = ["loadBalancer", "connectionPool", "outlierDetection", "tls"] as const;

export const portPolicies: Analyzer = function* (resources) {
  for (const { resource, path, policy } of policies(resources)) {
    if (!("portLevelSettings" in policy)) continue;
    const rule: TrafficPolicy | null = resource.spec.trafficPolicy;
    // A subset has from its rule what it does not say itself.
    const above = SETTINGS.filter((name) => (policy[name] ?? rule?.[name] ?? null) !== null);
    for (const [index, own] of policy.portLevelSettings.entries()) {
      const lost = above.filter((name) => own[name] === null);
      if (lost.length === 0) continue;
      const what = lost.length === 1
        ? `${lost[0]} for all ports does`
        : `${lost.join(", ")} for all ports do`;
      yield warning(
        CODES.portInheritsNothing,
        resource,
        [...path, "portLevelSettings", index],
        `settings of a port inherit nothing, so ${what} not hold at port ${own.port}`,
        "repeat them here",
      );
    }
  }
};
