/**
 * Port 15006: calls to the own workload that were captured on their way to one of its ports. They come in plain text, or
 * where the port carries HTTP in mutual TLS, as from peers that are no proxies of ours (Istio's own are such).
 */
import type { OriginalDestination } from "../../runtime/original_destination.ts";
import { type Address, NOBODY, type Wire, type WireOwner } from "../../runtime/wire.ts";
import type { LimitedWarnings } from "../../telemetry/limited_warnings.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import {
  PlainInboundAcceptor,
  type PlainInboundOptions,
  refusesPlainText,
} from "../filters/inbound_plain.ts";
import type { GatewayTls } from "../../model/gateway_listener.ts";
import { expectationOf, type ListenerWarning } from "./outbound_listener.ts";
import { closed, type Reception } from "./reception.ts";
import type { TlsTermination } from "./tls_termination.ts";

export interface PlainInboundListenerOptions {
  /** A new one. */
  reception(): Reception;
  readonly warnings: Pick<LimitedWarnings<ListenerWarning>, "say">;
  readonly originalDestination: OriginalDestination;
  readonly exchanges: PlainInboundOptions;
  /** Ports of the proxy itself, which are nobody's to be called through it. */
  readonly ownPorts: ReadonlySet<number>;
  /** Ends TLS that is not the mesh's; there where some port asks for it. */
  termination(): TlsTermination | null;
  /** The snapshot that serves now; null: there is none yet. */
  current(): CompiledSnapshot | null;
  /** Begins mutual TLS on a connection to a port of the workload. */
  secure(wire: Wire, port: number): WireOwner;
}

/** In place of a port that no service declares. */
const UNDECLARED = 0;

export class PlainInboundListener {
  readonly #options: PlainInboundListenerOptions;
  /** By the port that they are for: when it takes no plain text any more, they drain together. */
  readonly #receptions = new Map<number, Reception>();

  constructor(options: PlainInboundListenerOptions) {
    this.#options = options;
  }

  /** The owner of a connection that was just accepted; null: it is to be closed. */
  readonly accept = (wire: Wire): WireOwner | null => {
    const { originalDestination, warnings, ownPorts, exchanges, secure } = this.#options;
    const snapshot = this.#options.current();
    if (snapshot === null) return null;
    const destination = originalDestination(wire);
    const from = `Closed a connection from ${wire.remoteAddress}`;
    if (destination === null) {
      warnings.say(
        "not-captured",
        `${from} at port ${wire.localPort}: it was dialled, and only takes captured ones`,
      );
      return null;
    }
    const { port } = destination;
    if (ownPorts.has(port)) {
      warnings.say("own-port", `${from} to port ${port} of this proxy: exclude that port from the capture`);
      return null;
    }
    const inbound = snapshot.inbound.get(port);
    const reception = this.#receptionAt(inbound === undefined ? UNDECLARED : port);
    const verdict = reception.admit(wire);
    if (verdict === "close") return null;
    const refusePlainText = () =>
      warnings.say("plain-text", `${from} to port ${port}: it is in plain text, and mutual TLS is required`);
    const isStrict = refusesPlainText(snapshot, port);
    const isReadable = inbound?.declared === "http";
    if (isStrict && (!isReadable || verdict === "refuse")) {
      refusePlainText();
      return null;
    }
    if (inbound?.tls) {
      if (verdict === "refuse") return reception.refuse(wire, "tls");
      return this.#decrypt(wire, inbound.tls, destination, inbound.declared === "http");
    }
    const acceptor = new PlainInboundAcceptor(exchanges, destination, wire.remoteAddress);
    const tcp = (wire: Wire) => reception.tcp(wire, (stream) => acceptor.acceptTcp(stream));
    const straight = inbound === undefined || inbound.declared === "tcp" || inbound.declared === "tls";
    const expectation = isReadable ? "http-or-tls" : expectationOf(inbound?.declared);
    if (verdict === "refuse") return reception.refuse(wire, expectation);
    if (straight) return tcp(wire);
    const refused = (wire: Wire) => {
      refusePlainText();
      wire.terminate();
      return NOBODY;
    };
    const protocols = {
      http1: isStrict ? refused : (wire: Wire) => reception.http1(wire, acceptor),
      http2: isStrict ? refused : (wire: Wire) => reception.http2(wire, acceptor),
      tls: isReadable ? (wire: Wire) => secure(wire, port) : tcp,
      tcp,
    };
    const { detectionTimeoutMs } = snapshot.settings;
    return reception.sniff(wire, expectation, protocols, detectionTimeoutMs);
  };

  /**
   * Another snapshot serves: what is open in plain text to a port that takes none any more ends as in a drain, as with
   * Envoy. Of ports that are not declared the workload's own mode counts.
   */
  follow(snapshot: CompiledSnapshot): void {
    for (const [port, reception] of this.#receptions) {
      if (!refusesPlainText(snapshot, port)) continue;
      reception.close();
      this.#receptions.delete(port);
    }
  }

  /** Nobody is taken here any more: what is open drains, as does whoever was accepted meanwhile. */
  close(): void {
    for (const reception of this.#receptions.values()) reception.close();
  }

  #receptionAt(port: number): Reception {
    let reception = this.#receptions.get(port);
    if (reception === undefined) this.#receptions.set(port, reception = this.#options.reception());
    return reception;
  }

  /** One that speaks TLS as the port's Sidecar says, or is closed. */
  #decrypt(wire: Wire, tls: GatewayTls, destination: Address, carriesRequests: boolean): WireOwner {
    const { exchanges, termination } = this.#options;
    const reception = this.#receptionAt(destination.port);
    const name = `the port ${destination.port}`;
    return reception.hello(wire, (wire, serverName) =>
      termination()?.begin(wire, {
        ...{ reception, name, tls, carriesRequests },
        serve: (wire, client) => {
          const caller = { certificate: client.certificate, serverName };
          const acceptor = new PlainInboundAcceptor(exchanges, destination, wire.remoteAddress, caller);
          if (!carriesRequests) return reception.tcp(wire, (stream) => acceptor.acceptTcp(stream));
          return wire.alpnProtocol === "h2"
            ? reception.http2(wire, acceptor)
            : reception.http1(wire, acceptor, "https");
        },
      }) ?? closed(wire));
  }
}
