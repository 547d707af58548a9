/** BOW0071: outlier detection that, by the way, keeps callers to their own region. */
import { CODES } from "../codes.ts";
import { type Analyzer, notice } from "./analyzer.ts";
import { hostEndpoints } from "./host_endpoints.ts";
import { policies } from "./policies.ts";

export const localityImplied: Analyzer = function* (resources) {
  if (resources.meshConfigs[0]?.spec.localityLbSetting != null) return;
  const hosts = hostEndpoints(resources);
  for (const { resource, host, labels, path, policy, port } of policies(resources)) {
    if (policy.outlierDetection === null || host.startsWith("*")) continue;
    // What is for a port inherits nothing.
    const above = port === null ? resource.spec.trafficPolicy?.loadBalancer ?? null : null;
    if ((policy.loadBalancer ?? above)?.localityLbSetting != null) continue;
    const regions = new Set(hosts.of(host, labels).flatMap(({ locality }) => locality?.split("/")[0] ?? []));
    if (regions.size < 2) continue;
    yield notice(
      CODES.localityImplied,
      resource,
      [...path, "outlierDetection"],
      `endpoints of ${host} stand in ${
        [...regions].sort().join(", ")
      }, and with this each caller is kept to its own ` +
        "region as long as enough of it is healthy",
      "write loadBalancer.localityLbSetting, with enabled: false to call all alike",
    );
  }
};
