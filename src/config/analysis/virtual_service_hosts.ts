/** BOW0063: a VirtualService for a host that nothing has, which sidecars then route at port 80 alone. */
import { CODES } from "../codes.ts";
import { resolveHost, SERVICE_SUFFIX } from "../host.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import { type Analyzer, notice, warning } from "./analyzer.ts";

export const virtualServiceHosts: Analyzer = function* ({ virtualServices }, registry) {
  for (const resource of virtualServices) {
    const { hosts, gateways } = resource.spec;
    // At gateways a host needs nothing behind it.
    if (gateways.length !== 1 || gateways[0] !== MESH_GATEWAY) continue;
    const full = hosts.map((written) => resolveHost(written, resource.namespace));
    // Beside a host with ports the others have the same ones.
    if (full.some((host) => registry.hasAny(host))) continue;
    for (const [index, host] of full.entries()) {
      const hint = registry.suggestion(hosts[index] as string, resource.namespace);
      const finding = host.endsWith(`.${SERVICE_SUFFIX}`) ? warning : notice;
      yield finding(
        CODES.virtualServiceHostUnknown,
        resource,
        ["spec", "hosts", index],
        `no Service or ServiceEntry defines the host ${host}, so the rules hold for calls to its port 80 alone`,
        hint ?? "write a ServiceEntry for it",
      );
    }
  }
};
