/** BOW0022: outlier detection that finds who fails and may eject nobody, since the service has too few endpoints. */
import { CODES } from "../codes.ts";
import { resolveHost } from "../host.ts";
import { type Analyzer, notice } from "./analyzer.ts";
import { HostEndpoints } from "./host_endpoints.ts";
import { hasAll } from "./known_workloads.ts";
import { policies } from "./policies.ts";

const ALL_PERCENT = 100;

export const ejectionShare: Analyzer = function* (resources) {
  const hosts = new HostEndpoints(resources);
  for (const { resource, path, policy: { outlierDetection } } of policies(resources)) {
    if (outlierDetection === null) continue;
    const { maxEjectionPercent } = outlierDetection;
    const host = resolveHost(resource.spec.host, resource.namespace);
    // A wildcard stands for services of many sizes.
    if (host.startsWith("*")) continue;
    const subset = path[1] === "subsets" ? resource.spec.subsets[path[2] as number] : undefined;
    const endpoints = hosts.labelsOf(host).filter((labels) => hasAll(labels, subset?.labels ?? {})).length;
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
