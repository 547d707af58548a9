/** BOW0016: failing over between localities without anything that finds out that endpoints fail. */
import { CODES } from "../codes.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { policies } from "./policies.ts";

export const localityFailover: Analyzer = function* (resources) {
  for (const { resource, path, policy } of policies(resources)) {
    const setting = policy.loadBalancer?.localityLbSetting ?? null;
    const { failover, failoverPriority } = setting ?? { failover: [], failoverPriority: [] };
    // A subset may have it from its rule.
    const detection = policy.outlierDetection ?? resource.spec.trafficPolicy?.outlierDetection ?? null;
    if (detection !== null || failover.length + failoverPriority.length === 0) continue;
    if (setting?.enabled === false) continue;
    yield warning(
      CODES.failoverWithoutDetection,
      resource,
      [...path, "loadBalancer", "localityLbSetting"],
      "without outlierDetection no endpoint is ever taken for failed, so nothing fails over",
      "add outlierDetection: {maxEjectionPercent: 100}",
    );
  }
};
