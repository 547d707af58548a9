/** BOW0074: a port that a Gateway or a Sidecar asks for, and that the proxy has for itself. */
import { isSocket } from "../../model/bind.ts";
import { PORTS } from "../../model/ports.ts";
import { CODES } from "../codes.ts";
import type { ConfigResource } from "../resource.ts";
import { type Analyzer, type FieldPath, warning } from "./analyzer.ts";

const OF_GATEWAYS: ReadonlySet<number> = new Set([PORTS.admin, PORTS.health, PORTS.metrics]);
const OF_SIDECARS: ReadonlySet<number> = new Set([
  ...OF_GATEWAYS,
  PORTS.outbound,
  PORTS.inboundPlain,
  PORTS.mesh,
]);

export const ownPorts: Analyzer = function* ({ gateways, sidecars }) {
  for (const resource of gateways) {
    for (const [index, server] of resource.spec.servers.entries()) {
      if (isSocket(server) || !OF_GATEWAYS.has(server.port.number)) continue;
      yield taken(resource, ["spec", "servers", index], server.port.number, "gateway");
    }
  }
  for (const resource of sidecars) {
    const { ingress, egress } = resource.spec;
    for (const [index, { port }] of ingress.entries()) {
      if (OF_SIDECARS.has(port.number)) {
        yield taken(resource, ["spec", "ingress", index], port.number, "sidecar");
      }
    }
    for (const [index, listener] of egress.entries()) {
      const { captureMode, port } = listener;
      if (captureMode !== "NONE" || isSocket(listener) || port === null) continue;
      if (OF_SIDECARS.has(port.number)) {
        yield taken(resource, ["spec", "egress", index], port.number, "sidecar");
      }
    }
  }
};

function taken(resource: ConfigResource<unknown>, path: FieldPath, port: number, owner: string) {
  return warning(
    CODES.ownPort,
    resource,
    [...path, "port", "number"],
    `every ${owner} has the port ${port} for itself, so that nobody is served here`,
    "take another port",
  );
}
