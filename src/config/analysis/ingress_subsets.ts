/** IST0140: a gateway's route to a host as a whole, though a rule for that host chooses among its subsets. */
import { CODES } from "../codes.ts";
import { resolveHost } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { type Analyzer, located, notice } from "./analyzer.ts";
import { destinations } from "./destinations.ts";

type VirtualService = ConfigResource<VirtualServiceSpec>;

export const ingressSubsets: Analyzer = function* (resources) {
  const splits = splitsByHost(resources);
  for (const { resource, path, host, subset } of destinations(resources)) {
    const { gateways } = resource.spec;
    if (subset !== null || gateways.every((name) => name === MESH_GATEWAY)) continue;
    const split = splits.get(host);
    if (split === undefined || split === resource) continue;
    const message =
      `${located(split)} chooses among subsets of ${host}, which holds for callers in the mesh: ` +
      "what comes in by the gateway goes to all of its endpoints";
    yield notice(CODES.ingressSubsets, resource, [...path, "host"], message, "name a subset here, too");
  }
};

/** The first VirtualService of the mesh for each host that sends its requests to subsets of that very host. */
function splitsByHost(resources: ResourceSet): ReadonlyMap<string, VirtualService> {
  const splits = new Map<string, VirtualService>();
  for (const { resource, host, subset } of destinations(resources)) {
    const { namespace, spec: { gateways, hosts } } = resource;
    if (subset === null || splits.has(host) || !gateways.includes(MESH_GATEWAY)) continue;
    if (hosts.some((written) => resolveHost(written, namespace) === host)) splits.set(host, resource);
  }
  return splits;
}
