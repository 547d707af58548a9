/** IST0173: a subset whose labels no endpoint of its host has, though the host has endpoints. */
import { CODES } from "../codes.ts";
import { hostMatches, resolveHost, serviceHost } from "../host.ts";
import type { ResourceSet } from "../resource.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { formatLabels, hasAll, KnownWorkloads, type Labels } from "./known_workloads.ts";

/** The labels of each endpoint of a host. */
type Endpoints = () => readonly Labels[];

export const subsetEndpoints: Analyzer = function* (resources) {
  const hosts = endpointsByHost(resources);
  for (const resource of resources.destinationRules) {
    if (resource.spec.subsets.length === 0) continue;
    const host = resolveHost(resource.spec.host, resource.namespace);
    const labels = endpointsOf(host, hosts);
    // Workloads that are in no file join later.
    if (labels.length === 0) continue;
    for (const [index, subset] of resource.spec.subsets.entries()) {
      if (labels.some((one) => hasAll(one, subset.labels))) continue;
      yield warning(
        CODES.subsetSelectsNothing,
        resource,
        ["spec", "subsets", index, "labels"],
        `no endpoint of ${host} has the labels ${
          formatLabels(subset.labels)
        }; requests routed to the subset are ` +
          "answered 503",
        hintFor(subset.labels, labels),
      );
    }
  }
};

function endpointsOf(host: string, hosts: ReadonlyMap<string, readonly Endpoints[]>): readonly Labels[] {
  const known = host.startsWith("*")
    ? [...hosts].filter(([name]) => hostMatches(host, name)).flatMap(([, endpoints]) => endpoints)
    : hosts.get(host) ?? [];
  return known.flatMap((endpoints) => endpoints());
}

function endpointsByHost(resources: ResourceSet): ReadonlyMap<string, readonly Endpoints[]> {
  const workloads = new KnownWorkloads(resources);
  const hosts = new Map<string, Endpoints[]>();
  const add = (host: string, endpoints: Endpoints) =>
    hosts.set(host, [...(hosts.get(host) ?? []), endpoints]);
  for (const { name, namespace, spec } of resources.services) {
    if (Object.keys(spec.selector).length === 0) continue;
    add(serviceHost(name, namespace), () => workloads.selected(namespace, spec.selector));
  }
  for (const { namespace, spec } of resources.serviceEntries) {
    const selector = spec.workloadSelector;
    const endpoints = selector === null
      ? () => spec.endpoints.map((endpoint) => endpoint.labels)
      : () => workloads.selected(namespace, selector.labels);
    for (const host of spec.hosts) add(host, endpoints);
  }
  return hosts;
}

/** The values that endpoints have for the first label that is asked for. */
function hintFor(wanted: Labels, labels: readonly Labels[]): string | null {
  const [key] = Object.keys(wanted);
  if (key === undefined) return null;
  const values = [...new Set(labels.map((one) => one[key]).filter((value) => value !== undefined))].sort();
  return values.length === 0 ? `none has the label ${key}` : `they have ${key} ${values.join(", ")}`;
}
