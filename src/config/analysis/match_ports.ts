/** BOW0048: a match for a port that none of the hosts has. */
import { CODES } from "../codes.ts";
import { resolveHost } from "../host.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import { type Analyzer, warning } from "./analyzer.ts";

export const matchPorts: Analyzer = function* ({ virtualServices }, registry) {
  for (const resource of virtualServices) {
    const { gateways, hosts, http, tls, tcp } = resource.spec;
    // At a gateway it is the gateway's port.
    if (gateways.length !== 1 || gateways[0] !== MESH_GATEWAY) continue;
    const known = hosts.map((host) => registry.portsOf(resolveHost(host, resource.namespace)));
    // A host that nothing defines, or a wildcard for several, may have any.
    if (known.includes(undefined) || hosts.some((host) => host.startsWith("*"))) continue;
    const ports = [...new Set(known.flatMap((one) => one ?? []))];
    for (const [field, rules] of Object.entries({ http, tls, tcp })) {
      for (const [rule, { match }] of rules.entries()) {
        for (const [index, { port }] of match.entries()) {
          if (port === null || ports.includes(port)) continue;
          yield warning(
            CODES.matchPortUnknown,
            resource,
            ["spec", field, rule, "match", index, "port"],
            `no host of the VirtualService has the port ${port}, so this never holds; they have ${
              ports.join(", ")
            }`,
            "write the port of the service, not of its workloads",
          );
        }
      }
    }
  }
};
