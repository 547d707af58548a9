/** Port 15001: the calls of the own workload, dialled straight at the proxy or captured on their way to somewhere else. */
import { formatAuthority } from "../../lib/authority.ts";
import type { PortProtocol } from "../../model/port_protocol.ts";
import { SERVER_FIRST_PORTS } from "../../model/ports.ts";
import type { OriginalDestination } from "../../runtime/original_destination.ts";
import { type Address, endsOf, type Wire, type WireOwner } from "../../runtime/wire.ts";
import type { LimitedWarnings } from "../../telemetry/limited_warnings.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import type { Acceptor } from "../exchange.ts";
import type { OutboundAcceptor } from "../filters/outbound.ts";
import type { PlainProtocols } from "./plain_connection.ts";
import type { Expectation } from "./protocol_detector.ts";
import type { Reception } from "./reception.ts";

export interface OutboundListenerOptions {
  readonly reception: Reception;
  readonly acceptor: OutboundAcceptor;
  readonly warnings: Pick<LimitedWarnings<ListenerWarning>, "say">;
  readonly originalDestination: OriginalDestination;
  /** An address that leads back to this proxy. */
  isOwnAddress(hostname: string, port: number): boolean;
  /** The snapshot that serves now; null: there is none yet. */
  current(): CompiledSnapshot | null;
}

/** What listeners warn of, each at most once in a while. */
export type ListenerWarning = "not-captured" | "own-port" | "unreadable" | "plain-text";

export class OutboundListener {
  readonly #options: OutboundListenerOptions;
  readonly #direct: PlainProtocols;
  /** Reads requests of connections that were dialled straight at the proxy. */
  readonly #http1: Acceptor;

  constructor(options: OutboundListenerOptions) {
    this.#options = options;
    const { reception, acceptor } = options;
    this.#http1 = acceptor.requestsOf({ destination: null, protocol: "http1" });
    const http2 = acceptor.requestsOf({ destination: null, protocol: "http2" });
    this.#direct = {
      http1: (wire) => reception.http1(wire, this.#http1),
      http2: (wire) => reception.http2(wire, http2),
      tls: (wire, serverName) =>
        reception.tcp(
          wire,
          (stream) => acceptor.acceptTcp(stream, { destination: null, serverName, ends: clientEnds(wire) }),
        ),
      tcp: (wire) => this.#unreadable(wire),
    };
  }

  /** The owner of a connection that was just accepted; null: it is to be closed. */
  readonly accept = (wire: Wire): WireOwner | null => {
    const { reception, originalDestination } = this.#options;
    const snapshot = this.#options.current();
    const verdict = snapshot === null ? "close" : reception.admit(wire);
    if (snapshot === null || verdict === "close") return null;
    const destination = originalDestination(wire);
    if (verdict === "refuse") return reception.refuse(wire, destination === null ? "direct" : "any");
    if (destination === null) return reception.sniff(wire, "direct", this.#direct);
    return this.#acceptCaptured(wire, destination, snapshot);
  };

  #acceptCaptured(wire: Wire, destination: Address, snapshot: CompiledSnapshot): WireOwner | null {
    const { reception, acceptor, warnings, isOwnAddress } = this.#options;
    const { hostname, port } = destination;
    if (isOwnAddress(hostname, port)) {
      const where = formatAuthority(destination);
      warnings.say(
        "own-port",
        `Closed a captured connection to ${where}, a port of this proxy: it would go in a circle`,
      );
      return null;
    }
    const declared = snapshot.listeners.byAddress(hostname, port)?.listener.listener.protocol;
    const bytes = (wire: Wire, serverName: string | null) =>
      reception.tcp(
        wire,
        (stream) => acceptor.acceptTcp(stream, { destination, serverName, ends: clientEnds(wire) }),
      );
    if (goesStraight(declared, port)) return bytes(wire, null);
    const protocols = {
      http1: (wire: Wire) => reception.http1(wire, acceptor.requestsOf({ destination, protocol: "http1" })),
      http2: (wire: Wire) => reception.http2(wire, acceptor.requestsOf({ destination, protocol: "http2" })),
      tls: bytes,
      tcp: (wire: Wire) => bytes(wire, null),
    };
    return reception.sniff(wire, expectationOf(declared), protocols, snapshot.settings.detectionTimeoutMs);
  }

  /** It is read as HTTP, and answered 400: nothing says where else it could go. */
  #unreadable(wire: Wire): WireOwner {
    const { reception, warnings } = this.#options;
    warnings.say(
      "unreadable",
      `A connection from ${wire.remoteAddress} carries neither HTTP nor TLS with a server name, and was dialled ` +
        "straight at the proxy, so nothing says where it is to go: capture it with iptables, or ask by CONNECT",
    );
    return reception.http1(wire, this.#http1);
  }
}

/** Whether bytes go on before the first of them has come. */
function goesStraight(declared: PortProtocol | undefined, port: number): boolean {
  return declared === "tcp" || (declared === undefined && SERVER_FIRST_PORTS.has(port));
}

export function expectationOf(declared: PortProtocol | undefined): Expectation {
  return declared === "http" || declared === "tls" ? declared : "any";
}

function clientEnds(wire: Wire) {
  const { remote: client, local } = endsOf(wire);
  return { client, local };
}
