/** IST0132: a host of a VirtualService that none of the gateways it is for lets in. */
import { CODES } from "../codes.ts";
import { MESH_GATEWAY, resolveGateway } from "../schema/gateway_name.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { gatewaysByKey, serversOf } from "./gateways.ts";

export const gatewayHosts: Analyzer = function* (resources) {
  const known = gatewaysByKey(resources);
  for (const resource of resources.virtualServices) {
    const { gateways, hosts } = resource.spec;
    const named = gateways.filter((name) => name !== MESH_GATEWAY);
    for (const key of named.map((name) => resolveGateway(name, resource.namespace))) {
      const gateway = known.get(key);
      // One that is not there is a finding of its own.
      if (gateway === undefined) continue;
      for (const [index, host] of hosts.entries()) {
        if (serversOf(gateway, host, resource.namespace).length > 0) continue;
        const message = `no server of the Gateway ${key} has the host ${host}, so it is not routed there`;
        yield warning(CODES.hostNotInGateway, resource, ["spec", "hosts", index], message, null);
      }
    }
  }
};
