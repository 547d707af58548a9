/** The endpoints of each host that the files know. */
import type { Labels } from "../../model/labels.ts";
import { hostMatches, serviceHost } from "../host.ts";
import type { ResourceSet } from "../resource.ts";
import { declaresSidecar } from "../sidecar_label.ts";
import { isInSubset } from "../topology_labels.ts";
import { type KnownWorkload, knownWorkloads } from "./known_workloads.ts";

type Endpoints = () => readonly KnownWorkload[];

export class HostEndpoints {
  readonly #hosts = new Map<string, Endpoints[]>();

  constructor(resources: ResourceSet) {
    const workloads = knownWorkloads(resources);
    for (const { name, namespace, spec } of resources.services) {
      if (Object.keys(spec.selector).length === 0) continue;
      this.#add(serviceHost(name, namespace), () => workloads.withLabels(namespace, spec.selector));
    }
    for (const { namespace, spec } of resources.serviceEntries) {
      const selector = spec.workloadSelector;
      const endpoints = selector === null
        ? () =>
          spec.endpoints.map(({ labels, ports, locality, serviceAccount }) => ({
            namespace,
            labels,
            ports,
            locality,
            hasSidecar: declaresSidecar(labels, serviceAccount),
          }))
        : () => workloads.withLabels(namespace, selector.labels);
      for (const host of spec.hosts) this.#add(host, endpoints);
    }
  }

  /** The endpoints of a full host name, or of all that a wildcard covers, that have the labels of a subset. */
  of(host: string, subset: Labels = {}): readonly KnownWorkload[] {
    const known = host.startsWith("*")
      ? [...this.#hosts].filter(([name]) => hostMatches(host, name)).flatMap(([, endpoints]) => endpoints)
      : this.#hosts.get(host) ?? [];
    return known.flatMap((endpoints) => endpoints()).filter((endpoint) => isInSubset(endpoint, subset));
  }

  #add(host: string, endpoints: Endpoints): void {
    this.#hosts.set(host, [...(this.#hosts.get(host) ?? []), endpoints]);
  }
}

const known = new WeakMap<ResourceSet, HostEndpoints>();

/** The endpoints of a set of resources; worked out once for all who ask. */
export function hostEndpoints(resources: ResourceSet): HostEndpoints {
  const endpoints = known.get(resources) ?? new HostEndpoints(resources);
  known.set(resources, endpoints);
  return endpoints;
}
