/** IST0173: a subset whose labels no endpoint of its host has, though the host has endpoints. */
import type { Labels } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import { resolveHost } from "../host.ts";
import { isInSubset, labelOf } from "../topology_labels.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { hostEndpoints } from "./host_endpoints.ts";
import { formatLabels, type KnownWorkload } from "./known_workloads.ts";

export const subsetEndpoints: Analyzer = function* (resources) {
  const hosts = hostEndpoints(resources);
  for (const resource of resources.destinationRules) {
    if (resource.spec.subsets.length === 0) continue;
    const host = resolveHost(resource.spec.host, resource.namespace);
    const endpoints = hosts.of(host);
    // Workloads that are in no file join later.
    if (endpoints.length === 0) continue;
    for (const [index, subset] of resource.spec.subsets.entries()) {
      if (endpoints.some((endpoint) => isInSubset(endpoint, subset.labels))) continue;
      yield warning(
        CODES.subsetSelectsNothing,
        resource,
        ["spec", "subsets", index, "labels"],
        `no endpoint of ${host} has the labels ${
          formatLabels(subset.labels)
        }; requests routed to the subset are ` +
          "answered 503",
        hintFor(subset.labels, endpoints),
      );
    }
  }
};

/** The values that endpoints have for the first label that is asked for. */
function hintFor(wanted: Labels, endpoints: readonly KnownWorkload[]): string | null {
  const [key] = Object.keys(wanted);
  if (key === undefined) return null;
  const values = [
    ...new Set(endpoints.map((one) => labelOf(one, key)).filter((value) => value !== undefined)),
  ].sort();
  return values.length === 0 ? `none has the label ${key}` : `they have ${key} ${values.join(", ")}`;
}
