/** BOW0022: outlier detection that finds who fails and may eject nobody, since the service has too few endpoints. */
import { CODES } from "../codes.ts";
import { type Analyzer, notice } from "./analyzer.ts";
import { hostEndpoints } from "./host_endpoints.ts";
import { policies } from "./policies.ts";

const ALL_PERCENT = 100;

export const ejectionShare: Analyzer = function* (resources) {
  const hosts = hostEndpoints(resources);
  for (const { resource, host, labels, path, policy: { outlierDetection } } of policies(resources)) {
    if (outlierDetection === null) continue;
    const { maxEjectionPercent } = outlierDetection;
    // A wildcard stands for services of many sizes.
    if (host.startsWith("*")) continue;
    const endpoints = hosts.of(host, labels).length;
    if (endpoints === 0 || endpoints * maxEjectionPercent >= ALL_PERCENT) continue;
    yield notice(
      CODES.ejectsNobody,
      resource,
      [...path, "outlierDetection"],
      `of the ${endpoints} endpoints that the files know, ${maxEjectionPercent} % is less than one: nobody is ejected`,
      `set maxEjectionPercent: to at least ${Math.ceil(ALL_PERCENT / endpoints)}`,
    );
  }
};
