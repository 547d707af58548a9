/** BOW0047: rules about requests for a host of whose ports none carries requests that can be read. */
import { CODES } from "../codes.ts";
import { resolveHost, serviceHost } from "../host.ts";
import type { ResourceSet } from "../resource.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { carriesBytes } from "./port_speech.ts";

export const rulesForBytes: Analyzer = function* (resources) {
  const hosts = hostsOfBytes(resources);
  for (const resource of resources.virtualServices) {
    const { namespace, spec } = resource;
    if (spec.http.length === 0 || !spec.gateways.includes(MESH_GATEWAY)) continue;
    const host = spec.hosts.map((written) => resolveHost(written, namespace)).find((full) => hosts.has(full));
    if (host === undefined) continue;
    yield warning(
      CODES.rulesForBytes,
      resource,
      ["spec", "http"],
      `no port of ${host} carries HTTP that can be read, so these rules are for nobody`,
      "use tcp: or tls:, or say the port's protocol by its name or appProtocol",
    );
  }
};

/** Hosts with ports of bytes alone. */
function hostsOfBytes({ services, serviceEntries }: ResourceSet): ReadonlySet<string> {
  const readable = new Map<string, boolean>();
  const add = (host: string, isReadable: boolean) =>
    readable.set(host, isReadable || readable.get(host) === true);
  for (const { name, namespace, spec: { ports } } of services) {
    add(serviceHost(name, namespace), ports.some((port) => !carriesBytes(port)));
  }
  for (const { spec } of serviceEntries) {
    const some = spec.ports.some(({ protocol }) => !carriesBytes({ name: null, appProtocol: protocol }));
    for (const host of spec.hosts) add(host, some);
  }
  return new Set([...readable].filter(([, some]) => !some).map(([host]) => host));
}
