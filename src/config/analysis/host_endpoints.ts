/** The endpoints of each host that the files know, by their labels. */
import { hostMatches, serviceHost } from "../host.ts";
import type { ResourceSet } from "../resource.ts";
import { KnownWorkloads, type Labels } from "./known_workloads.ts";

/** The labels of each endpoint. */
type Endpoints = () => readonly Labels[];

export class HostEndpoints {
  readonly #hosts = new Map<string, Endpoints[]>();

  constructor(resources: ResourceSet) {
    const workloads = new KnownWorkloads(resources);
    for (const { name, namespace, spec } of resources.services) {
      if (Object.keys(spec.selector).length === 0) continue;
      this.#add(serviceHost(name, namespace), () => workloads.selected(namespace, spec.selector));
    }
    for (const { namespace, spec } of resources.serviceEntries) {
      const selector = spec.workloadSelector;
      const endpoints = selector === null
        ? () => spec.endpoints.map((endpoint) => endpoint.labels)
        : () => workloads.selected(namespace, selector.labels);
      for (const host of spec.hosts) this.#add(host, endpoints);
    }
  }

  /** The labels of each endpoint of a full host name, or of all that a wildcard covers. */
  labelsOf(host: string): readonly Labels[] {
    const known = host.startsWith("*")
      ? [...this.#hosts].filter(([name]) => hostMatches(host, name)).flatMap(([, endpoints]) => endpoints)
      : this.#hosts.get(host) ?? [];
    return known.flatMap((endpoints) => endpoints());
  }

  #add(host: string, endpoints: Endpoints): void {
    this.#hosts.set(host, [...(this.#hosts.get(host) ?? []), endpoints]);
  }
}
