/** BOW0062: a match for a gateway that the VirtualService is not for. */
import { CODES } from "../codes.ts";
import { MESH_GATEWAY, resolveGateway } from "../schema/gateway_name.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { gatewaysByKey } from "./gateways.ts";

export const matchGateways: Analyzer = function* (resources) {
  const known = gatewaysByKey(resources);
  for (const resource of resources.virtualServices) {
    const { http, tls, tcp, gateways } = resource.spec;
    if (gateways.length === 0) continue;
    const keyOf = (name: string) => name === MESH_GATEWAY ? name : resolveGateway(name, resource.namespace);
    const served = new Set(gateways.map(keyOf));
    for (const [field, rules] of Object.entries({ http, tls, tcp })) {
      for (const [rule, { match }] of rules.entries()) {
        for (const [index, one] of match.entries()) {
          for (const [place, name] of one.gateways.entries()) {
            // One that is not there is a finding of its own.
            if (served.has(keyOf(name)) || (name !== MESH_GATEWAY && !known.has(keyOf(name)))) continue;
            const what = name === MESH_GATEWAY ? "sidecars do" : `the gateway ${name} does`;
            yield warning(
              CODES.matchGatewayLeftOut,
              resource,
              ["spec", field, rule, "match", index, "gateways", place],
              `${what} not heed the VirtualService, since its gateways leave it out`,
              `add "${name}" to spec.gateways`,
            );
          }
        }
      }
    }
  }
};
