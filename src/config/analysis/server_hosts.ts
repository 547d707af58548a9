/** BOW0072: a server of a Gateway with hosts that none of its VirtualServices has. */
import { CODES } from "../codes.ts";
import type { GatewayServer } from "../schema/gateway.ts";
import { MESH_GATEWAY, resolveGateway } from "../schema/gateway_name.ts";
import { isPlainServer, serverSpeech } from "../server_speech.ts";
import { type Analyzer, notice } from "./analyzer.ts";
import { gatewaysByKey, serversOf } from "./gateways.ts";

export const serverHosts: Analyzer = function* (resources) {
  const known = gatewaysByKey(resources);
  const used = new Set<GatewayServer>();
  for (const { namespace, spec: { gateways, hosts } } of resources.virtualServices) {
    for (const name of gateways) {
      const gateway = name === MESH_GATEWAY ? undefined : known.get(resolveGateway(name, namespace));
      if (gateway === undefined) continue;
      for (const server of hosts.flatMap((host) => serversOf(gateway, host, namespace))) used.add(server);
    }
  }
  for (const resource of resources.gateways) {
    for (const [index, server] of resource.spec.servers.entries()) {
      // One that redirects has its answer.
      if (used.has(server) || (isPlainServer(server) && server.tls?.httpsRedirect === true)) continue;
      const speech = serverSpeech(server);
      const what = speech === "http" || speech === "https"
        ? "requests are answered 404"
        : "connections are closed";
      yield notice(
        CODES.serverWithoutRules,
        resource,
        ["spec", "servers", index, "hosts"],
        `no VirtualService for this Gateway has one of these hosts, so ${what}`,
        "write a VirtualService that names the Gateway and a host",
      );
    }
  }
};
