/** IST0145: servers of Gateways that cannot stand at one port of the same gateways together: the first one has it. */
import { CODES } from "../codes.ts";
import type { ConfigResource } from "../resource.ts";
import type { GatewayServer, GatewaySpec } from "../schema/gateway.ts";
import { listenerName, placeOf } from "../server_place.ts";
import { isPlainServer, serverSpeech } from "../server_speech.ts";
import { type Analyzer, located, warning } from "./analyzer.ts";
import { mayBeOne } from "../../model/labels.ts";

interface Placed {
  readonly gateway: ConfigResource<GatewaySpec>;
  readonly server: GatewayServer;
}

export const conflictingGateways: Analyzer = function* ({ gateways }) {
  /** By address and port. */
  const byPort = new Map<string, Placed[]>();
  for (const gateway of gateways) {
    for (const [index, server] of gateway.spec.servers.entries()) {
      const key = listenerName(server);
      const earlier = (byPort.get(key) ?? []).filter((one) =>
        mayBeOne(one.gateway.spec.selector, gateway.spec.selector)
      );
      byPort.set(key, [...byPort.get(key) ?? [], { gateway, server }]);
      const conflict = conflictWith(server, earlier);
      if (conflict === null) continue;
      const [{ gateway: other }, why] = conflict;
      const message = `${located(other)} has the ${placeOf(server)} too, ${why}`;
      yield warning(CODES.conflictingGateways, gateway, ["spec", "servers", index], message, null);
    }
  }
};

function conflictWith(server: GatewayServer, earlier: readonly Placed[]): [Placed, string] | null {
  const [first] = earlier;
  if (first === undefined) return null;
  // The first one says what the port is.
  if (isPlainServer(first.server) !== isPlainServer(server)) {
    return [first, `${isPlainServer(server) ? "with" : "without"} TLS, and this server is left out`];
  }
  if (isPlainServer(server)) {
    const other = `for ${first.server.port.protocol}, and this server is left out`;
    return serverSpeech(first.server) === serverSpeech(server) ? null : [first, other];
  }
  // A narrower host goes before a wildcard that covers it: only equal ones are in each other's way.
  for (const one of earlier.filter((one) => !isPlainServer(one.server))) {
    const shared = server.hosts.find(({ host }) => one.server.hosts.some((other) => other.host === host));
    if (shared !== undefined) return [one, `for TLS to ${shared.host}, and whoever asks for that gets it`];
  }
  return null;
}
