/** BOW0012: a VirtualService for a service of the mesh that sidecars do not heed. */
import { CODES } from "../codes.ts";
import { resolveHost, serviceHost } from "../host.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import { type Analyzer, warning } from "./analyzer.ts";

export const meshLeftOut: Analyzer = function* ({ services, virtualServices }) {
  const inMesh = new Set(services.map(({ name, namespace }) => serviceHost(name, namespace)));
  for (const resource of virtualServices) {
    const { gateways, hosts, http, tls, tcp } = resource.spec;
    const matches = [...http, ...tls, ...tcp].flatMap(({ match }) => match.flatMap((one) => one.gateways));
    if (gateways.length === 0 || [...gateways, ...matches].includes(MESH_GATEWAY)) continue;
    const host = hosts.map((written) => resolveHost(written, resource.namespace)).find((full) =>
      inMesh.has(full)
    );
    if (host === undefined) continue;
    yield warning(
      CODES.meshLeftOut,
      resource,
      ["spec", "gateways"],
      `${host} is a service of the mesh, and sidecars do not heed the rules, since the gateways leave out "mesh"`,
      'add "mesh" if calls within the mesh are meant too',
    );
  }
};
