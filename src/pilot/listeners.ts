/** Service ports as captured connections find them: by address, or by the name that TLS asks for. */
import type { Listener } from "../model/snapshot.ts";
import type { VisibleHost, VisiblePort } from "./service_catalogue.ts";
import type { BuiltTcpRoutes } from "./tcp_routes.ts";

/** Istio opens `0.0.0.0:PORT` for a TCP port whose service says neither where it is nor by which addresses it is called. */
const ANYWHERE = ["0.0.0.0/0", "::/0"];

/** `names`: the authorities, without port, that lead to the host. */
export function listenerOf(
  { host }: VisibleHost,
  { service, port }: VisiblePort,
  names: readonly string[],
  { routes, skipped }: BuiltTcpRoutes,
): Listener {
  const readable = port.declared === "http";
  const anywhere = service.toOriginalDestination && port.declared === "tcp" && service.addresses.length === 0;
  return {
    kind: "listener",
    name: `${host}:${port.number}`,
    service: service.info,
    port: port.number,
    protocol: port.declared,
    addresses: anywhere ? ANYWHERE : service.addresses,
    // Nobody puts an address into a server name.
    serverNames: readable ? [] : names.filter((name) => !/^\[|^[0-9.]+$/.test(name)),
    routes,
    ...skipped.length > 0 ? { skipped } : {},
  };
}
