/**
 * IST0132: a host of a VirtualService that none of the gateways it is for lets in, or a gateway that lets none of its
 * hosts in. Each host may well be for another one of the gateways, or for the mesh.
 */
import { CODES } from "../codes.ts";
import type { ConfigResource } from "../resource.ts";
import type { GatewaySpec } from "../schema/gateway.ts";
import { MESH_GATEWAY, resolveGateway } from "../schema/gateway_name.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { gatewaysByKey, serversOf } from "./gateways.ts";

export const gatewayHosts: Analyzer = function* (resources) {
  const known = gatewaysByKey(resources);
  for (const resource of resources.virtualServices) {
    const { gateways, hosts } = resource.spec;
    const named = gateways.filter((name) => name !== MESH_GATEWAY)
      .map((name) => resolveGateway(name, resource.namespace));
    // One that is not there is a finding of its own.
    const there = named.flatMap((key) => known.get(key) ?? []);
    if (there.length === 0) continue;
    const places = hosts.map((host) =>
      there.filter((gateway) => serversOf(gateway, host, resource.namespace).length > 0)
    );
    const isElsewhere = gateways.includes(MESH_GATEWAY);
    for (const [index, host] of hosts.entries()) {
      if (isElsewhere || places[index]?.length !== 0) continue;
      const message = `no server of ${gatewayNames(there)} has the host ${host}, so it is not routed there`;
      yield warning(CODES.hostNotInGateway, resource, ["spec", "hosts", index], message, null);
    }
    const routed = new Set(places.flat());
    if (routed.size === 0 && !isElsewhere) continue;
    for (const gateway of there.filter((one) => !routed.has(one))) {
      const message = `no server of ${
        gatewayNames([gateway])
      } has any of the hosts, so nothing is routed there`;
      yield warning(CODES.hostNotInGateway, resource, ["spec", "gateways"], message, null);
    }
  }
};

function gatewayNames(gateways: readonly ConfigResource<GatewaySpec>[]): string {
  return `the Gateway ${gateways.map(({ namespace, name }) => `${namespace}/${name}`).join(" or ")}`;
}
