/** IST0109: two VirtualServices for one host in the mesh gateway; sidecars do not merge them. */
import { CODES } from "../codes.ts";
import { resolveHost } from "../host.ts";
import type { ConfigResource } from "../resource.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { type Exported, sharesViewers } from "../visibility.ts";
import { type Analyzer, warning } from "./analyzer.ts";

type VirtualService = ConfigResource<VirtualServiceSpec>;

export const conflictingHosts: Analyzer = function* (resources) {
  const byHost = new Map<string, VirtualService[]>();
  for (const resource of resources.virtualServices) {
    if (!resource.spec.gateways.includes(MESH_GATEWAY)) continue;
    for (const [index, written] of resource.spec.hosts.entries()) {
      const host = resolveHost(written, resource.namespace);
      const others = byHost.get(host) ?? [];
      byHost.set(host, [...others, resource]);
      const other = others.find((earlier) =>
        earlier !== resource && sharesViewers(exported(earlier), exported(resource))
      );
      if (other === undefined) continue;
      const { file, line, column } = other.position;
      yield warning(
        CODES.conflictingHosts,
        resource,
        ["spec", "hosts", index],
        `VirtualService ${other.namespace}/${other.name} (${file}:${line}:${column}) already routes ${host}, ` +
          "and a sidecar uses one VirtualService per host",
        "merge their rules into one",
      );
    }
  }
};

function exported({ namespace, spec: { exportTo } }: VirtualService): Exported {
  return { namespace, exportTo };
}
