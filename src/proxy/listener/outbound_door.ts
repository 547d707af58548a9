/**
 * A port of a sidecar's own for calls to the services that have its number, or a socket for calls to any: programs dial it,
 * and nothing is captured.
 */
import { isSocket } from "../../model/bind.ts";
import { doorName } from "../../model/sidecar_door.ts";
import type { Address, Wire, WireOwner } from "../../runtime/wire.ts";
import type { CompiledCluster } from "../cluster/cluster.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import type { OutboundAcceptor } from "../filters/outbound.ts";
import { canonicalAuthority, type CompiledVirtualHost } from "../route/route_table.ts";
import { expectationOf } from "./outbound_listener.ts";
import type { Reception } from "./reception.ts";

export interface OutboundDoorOptions {
  readonly reception: Reception;
  readonly acceptor: OutboundAcceptor;
  /** The port itself. */
  readonly destination: Address;
  /** The snapshot that serves now; null: there is none yet. */
  current(): CompiledSnapshot | null;
}

export class OutboundDoor {
  readonly #name: string;
  readonly #options: OutboundDoorOptions;

  constructor(name: string, options: OutboundDoorOptions) {
    this.#name = name;
    this.#options = options;
  }

  /** The port is wanted no more: its connections drain. */
  close(): void {
    this.#options.reception.close();
  }

  /** The owner of a connection that was just accepted; null: it is to be closed. */
  readonly accept = (wire: Wire): WireOwner | null => {
    const { reception, acceptor, destination, current } = this.#options;
    const snapshot = current();
    const door = snapshot?.settings.doors?.find((one) => doorName(one) === this.#name);
    const verdict = door === undefined ? "close" : reception.admit(wire);
    if (snapshot === null || door === undefined || verdict === "close") return null;
    const expectation = expectationOf(door.protocol);
    if (verdict === "refuse") return reception.refuse(wire, expectation);
    const { port } = destination;
    const atSocket = isSocket(door);
    const bytes = (wire: Wire, serverName: string | null) =>
      reception.tcp(wire, (stream) =>
        acceptor.acceptTcp(
          stream,
          atSocket ? { destination: null, serverName, door: { host: door.host ?? null }, ends: null } : {
            destination,
            serverName,
            door: { port },
            ends: { client: clientOf(wire), local: destination },
          },
        ));
    if (door.protocol === "tcp") return bytes(wire, null);
    const requests = (protocol: "http1" | "http2") =>
      acceptor.requestsOf({
        ...{ destination: null, protocol },
        // At a socket an authority means what it means at the proxy's own port.
        ...atSocket ? {} : {
          virtualHost: (snapshot: CompiledSnapshot, authority: string) =>
            virtualHostAt(port, snapshot, authority),
        },
      });
    const protocols = {
      http1: (wire: Wire) => reception.http1(wire, requests("http1")),
      http2: (wire: Wire) => reception.http2(wire, requests("http2")),
      tls: bytes,
      tcp: (wire: Wire) => bytes(wire, null),
    };
    return reception.sniff(wire, expectation, protocols, snapshot.settings.detectionTimeoutMs);
  };
}

function clientOf({ remoteAddress, remotePort }: Wire): Address {
  return { hostname: remoteAddress, port: remotePort };
}

/**
 * Whom an authority means at the port: who names none means it, and other ports are not reached here. An address, as that
 * of the port itself, means the only service that has the port.
 */
function virtualHostAt(
  port: number,
  { routes, listeners }: CompiledSnapshot,
  authority: string,
): CompiledVirtualHost<CompiledCluster> | undefined {
  const written = canonicalAuthority(authority);
  const named = routes.virtualHost(hasPort(written) ? written : `${written}:${port}`);
  if (named !== undefined) return named.virtualHost.port === port ? named : undefined;
  const [only, ...others] = listeners.ofPort(port);
  const [, host = "", ownPort = `${port}`] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(written) ?? [];
  const isItself = /^(localhost|[0-9.]+|\[.*\])$/.test(host) && ownPort === `${port}`;
  return only === undefined || others.length > 0 || !isItself
    ? undefined
    : routes.virtualHost(only.listener.name);
}

function hasPort(authority: string): boolean {
  return authority.includes(":") && !authority.endsWith("]");
}
