/** BOW0046: a VirtualService that routes what others call in another namespace: it decides where their requests go. */
import { CODES } from "../codes.ts";
import { hostMatches, resolveHost, serviceHost } from "../host.ts";
import type { ResourceSet } from "../resource.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import { MESH_CONFIG_DEFAULT } from "../schema/mesh_config.ts";
import { type Analyzer, warning } from "./analyzer.ts";

export const foreignHosts: Analyzer = function* (resources) {
  const { rootNamespace, defaultVirtualServiceExportTo } = resources.meshConfigs[0]?.spec ??
    MESH_CONFIG_DEFAULT;
  const owners = ownersOf(resources);
  for (const resource of resources.virtualServices) {
    const { namespace, spec: { exportTo, gateways, hosts } } = resource;
    // The root namespace speaks for the whole mesh.
    if (namespace === rootNamespace || !gateways.includes(MESH_GATEWAY)) continue;
    const seenBy = exportTo.length > 0 ? exportTo : defaultVirtualServiceExportTo;
    const others = seenBy.filter((to) => to !== "." && to !== "~" && to !== namespace);
    if (seenBy.length > 0 && others.length === 0) continue;
    for (const [index, written] of hosts.entries()) {
      const pattern = resolveHost(written, namespace);
      const taken = covered(owners, pattern).find(([, owned]) => !owned.has(namespace));
      if (taken === undefined) continue;
      const [host, [owner]] = [taken[0], [...taken[1]]];
      const callers = others.length === 0 || others.includes("*") ? "every namespace" : others.join(", ");
      yield warning(
        CODES.foreignHost,
        resource,
        ["spec", "hosts", index],
        `${host} belongs to the namespace ${owner}, and this routes its callers in ${callers}`,
        `move it to ${owner}, or write exportTo: ["."] to route the callers of ${namespace} alone`,
      );
    }
  }
};

/** Namespaces by the hosts that they define. */
type Owners = ReadonlyMap<string, ReadonlySet<string>>;

function covered(owners: Owners, pattern: string): readonly (readonly [string, ReadonlySet<string>])[] {
  if (pattern.startsWith("*")) return [...owners].filter(([host]) => hostMatches(pattern, host));
  const exact = owners.get(pattern);
  return exact === undefined ? [] : [[pattern, exact]];
}

function ownersOf({ services, serviceEntries }: ResourceSet): Owners {
  const owners = new Map<string, Set<string>>();
  const add = (host: string, namespace: string) => {
    const known = owners.get(host);
    if (known === undefined) owners.set(host, new Set([namespace]));
    else known.add(namespace);
  };
  for (const { name, namespace } of services) add(serviceHost(name, namespace), namespace);
  for (const { namespace, spec } of serviceEntries) for (const host of spec.hosts) add(host, namespace);
  return owners;
}
