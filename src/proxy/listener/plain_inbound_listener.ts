/**
 * Port 15006: calls to the own workload that were captured on their way to one of its ports. They come in plain text, or
 * where the port carries HTTP in mutual TLS, as from peers that are no proxies of ours (Istio's own are such).
 */
import type { GatewayTls } from "../../model/gateway_listener.ts";
import type { OriginalDestination } from "../../runtime/original_destination.ts";
import type { Address, Wire, WireOwner } from "../../runtime/wire.ts";
import type { LimitedWarnings } from "../../telemetry/limited_warnings.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import {
  PlainInboundAcceptor,
  type PlainInboundOptions,
  refusesPlainText,
} from "../filters/inbound_plain.ts";
import { expectationOf, type ListenerWarning } from "./outbound_listener.ts";
import type { Expectation } from "./protocol_detector.ts";
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
    const snapshot = this.#options.current();
    const destination = snapshot === null ? null : this.#destinationOf(wire);
    if (snapshot === null || destination === null) return null;
    const { port } = destination;
    const inbound = snapshot.inbound.get(port);
    const reception = this.#receptionAt(inbound === undefined ? UNDECLARED : port);
    const verdict = reception.admit(wire);
    if (verdict === "close") return null;
    // Only where HTTP is declared is it known, by the first bytes, whether this is the mesh's TLS or plain text.
    const isReadable = inbound?.declared === "http";
    if (refusesPlainText(snapshot, port) && (!isReadable || verdict === "refuse")) {
      this.#tellPlainText(wire, port);
      return null;
    }
    const { tls } = inbound ?? {};
    const expectation = tls ? "tls" : isReadable ? "http-or-tls" : expectationOf(inbound?.declared);
    if (verdict === "refuse") return reception.refuse(wire, expectation);
    if (tls) return this.#decrypt(wire, reception, destination, tls, isReadable);
    return this.#read(wire, reception, destination, snapshot, expectation);
  };

  /** Where a connection was going that was captured; null: it was not, or leads to this proxy, as the log says. */
  #destinationOf(wire: Wire): Address | null {
    const { originalDestination, warnings, ownPorts } = this.#options;
    const destination = originalDestination(wire);
    const from = `Closed a connection from ${wire.remoteAddress}`;
    if (destination === null) {
      const at = `at port ${wire.localPort}`;
      warnings.say("not-captured", `${from} ${at}: it was dialled, and only takes captured ones`);
      return null;
    }
    const { port } = destination;
    if (!ownPorts.has(port)) return destination;
    warnings.say("own-port", `${from} to port ${port} of this proxy: exclude that port from the capture`);
    return null;
  }

  #tellPlainText({ remoteAddress }: Wire, port: number): void {
    const what = `Closed a connection from ${remoteAddress} to port ${port}`;
    this.#options.warnings.say("plain-text", `${what}: it is in plain text, and mutual TLS is required`);
  }

  /** One whose TLS, if it has any, is the mesh's or the workload's own. */
  #read(
    wire: Wire,
    reception: Reception,
    destination: Address,
    snapshot: CompiledSnapshot,
    expectation: Expectation,
  ): WireOwner {
    const { exchanges, secure } = this.#options;
    const { port } = destination;
    const declared = snapshot.inbound.get(port)?.declared;
    const acceptor = new PlainInboundAcceptor(exchanges, destination, wire.remoteAddress);
    const tcp = (wire: Wire) => reception.tcp(wire, (stream) => acceptor.acceptTcp(stream));
    // A server may be the one to speak first.
    if (declared === undefined || declared === "tcp" || declared === "tls") return tcp(wire);
    const refused = (wire: Wire) => {
      this.#tellPlainText(wire, port);
      return closed(wire);
    };
    const isStrict = refusesPlainText(snapshot, port);
    return reception.sniff(wire, expectation, {
      http1: isStrict ? refused : (wire) => reception.http1(wire, acceptor),
      http2: isStrict ? refused : (wire) => reception.http2(wire, acceptor),
      tls: declared === "http" ? (wire) => secure(wire, port) : tcp,
      tcp,
    }, snapshot.settings.detectionTimeoutMs);
  }

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
  #decrypt(
    wire: Wire,
    reception: Reception,
    destination: Address,
    tls: GatewayTls,
    carriesRequests: boolean,
  ): WireOwner {
    const { exchanges, termination } = this.#options;
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
