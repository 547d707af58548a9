/** IST0101 for ports of gateways: a rule leads to a service whose workloads are gateways, and no Gateway serves its port. */
import { hasLabels } from "../../model/labels.ts";
import { CODES } from "../codes.ts";
import { serviceHost } from "../host.ts";
import type { ResourceSet } from "../resource.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { destinations } from "./destinations.ts";
import { knownWorkloads } from "./known_workloads.ts";

export const gatewayPorts: Analyzer = function* (resources, hosts) {
  const shut = new Map(shutPorts(resources));
  if (shut.size === 0) return;
  for (const { resource, path, host, port } of destinations(resources)) {
    const [only, ...others] = hosts.portsOf(host) ?? [];
    const meant = port ?? (others.length === 0 ? only : undefined);
    const found = shut.get(host)?.find(({ number }) => number === meant);
    if (found === undefined) continue;
    const message = `${host} is gateways, and no Gateway that selects them has a server at their port ` +
      `${found.targetPort}; requests routed there are answered 503`;
    const hint = "add a server for it, or lead to another port";
    yield warning(CODES.referenceNotFound, resource, path, message, hint);
  }
};

interface ServedPort {
  /** The service's. */
  readonly number: number;
  readonly targetPort: number;
}

/** Host -> its ports behind which are gateways alone, none of which serves there. */
function* shutPorts(resources: ResourceSet): Generator<[host: string, ports: readonly ServedPort[]]> {
  // One without a selector is for every gateway, whoever that is.
  const gateways = resources.gateways.filter(({ spec }) => Object.keys(spec.selector).length > 0);
  if (gateways.length === 0 || gateways.length < resources.gateways.length) return;
  const workloads = knownWorkloads(resources);
  for (const { name, namespace, spec } of resources.services) {
    if (Object.keys(spec.selector).length === 0) continue;
    const selected = workloads.selected(namespace, spec.selector);
    const serving = selected.map((labels) => gateways.filter((one) => hasLabels(labels, one.spec.selector)));
    if (selected.length === 0 || serving.some((of) => of.length === 0)) continue;
    const open = new Set(serving.flat().flatMap((one) => one.spec.servers.map(({ port }) => port.number)));
    const shut = spec.ports.flatMap(({ port, targetPort }) =>
      typeof targetPort === "number" && !open.has(targetPort) ? [{ number: port, targetPort }] : []
    );
    if (shut.length > 0) yield [serviceHost(name, namespace), shut];
  }
}
