/** BOW0065: rules of a VirtualService of a kind that none of the gateways' servers for its hosts can follow. */
import { CODES } from "../codes.ts";
import { MESH_GATEWAY, resolveGateway } from "../schema/gateway_name.ts";
import { placeOf } from "../server_place.ts";
import { type ServerSpeech, serverSpeech } from "../server_speech.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { gatewaysByKey, serversOf } from "./gateways.ts";

/** The servers at which each kind of rules holds. */
const FOLLOWED: Readonly<Record<"http" | "tls" | "tcp", readonly ServerSpeech[]>> = {
  http: ["http", "https"],
  tls: ["passthrough"],
  tcp: ["tcp", "tls-tcp"],
};

const HINTS = {
  http: "use tls: or tcp:, or let a server decrypt: the protocol HTTPS with tls.mode SIMPLE",
  tls: "use http: or tcp:, or let a server pass TLS on: tls.mode PASSTHROUGH",
  tcp: "use http: or tls:, or add a server with the protocol TCP",
};

export const serverRules: Analyzer = function* (resources) {
  const known = gatewaysByKey(resources);
  for (const resource of resources.virtualServices) {
    const { gateways, hosts } = resource.spec;
    if (gateways.includes(MESH_GATEWAY)) continue;
    const named = gateways.map((name) => known.get(resolveGateway(name, resource.namespace)));
    const servers = named.flatMap((gateway) =>
      gateway === undefined ? [] : hosts.flatMap((host) => serversOf(gateway, host, resource.namespace))
    );
    if (servers.length === 0) continue;
    const speeches = new Set(servers.map(serverSpeech));
    for (const field of ["http", "tls", "tcp"] as const) {
      if (resource.spec[field].length === 0 || FOLLOWED[field].some((speech) => speeches.has(speech))) {
        continue;
      }
      const ports = [...new Set(servers.map((server) => `${server.port.protocol} at ${placeOf(server)}`))]
        .join(", ");
      yield warning(
        CODES.rulesOfNoServer,
        resource,
        ["spec", field],
        `no server of the gateways follows such rules; for these hosts they have ${ports}`,
        HINTS[field],
      );
    }
  }
};
