/** Port 15006: calls to the own workload that do not come over the mesh, captured on their way to one of its ports. */
import type { OriginalDestination } from "../../runtime/original_destination.ts";
import type { Wire, WireOwner } from "../../runtime/socket.ts";
import type { LimitedWarnings } from "../../telemetry/limited_warnings.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import {
  PlainInboundAcceptor,
  type PlainInboundOptions,
  refusesPlainText,
} from "../filters/inbound_plain.ts";
import { expectationOf, type ListenerWarning } from "./outbound_listener.ts";
import type { Reception } from "./reception.ts";

export interface PlainInboundListenerOptions {
  readonly reception: Reception;
  readonly warnings: Pick<LimitedWarnings<ListenerWarning>, "say">;
  readonly originalDestination: OriginalDestination;
  readonly exchanges: PlainInboundOptions;
  /** Ports of the proxy itself, which are nobody's to be called through it. */
  readonly ownPorts: ReadonlySet<number>;
  /** The snapshot that serves now; null: there is none yet. */
  current(): CompiledSnapshot | null;
}

export class PlainInboundListener {
  readonly #options: PlainInboundListenerOptions;

  constructor(options: PlainInboundListenerOptions) {
    this.#options = options;
  }

  /** The owner of a connection that was just accepted; null: it is to be closed. */
  readonly accept = (wire: Wire): WireOwner | null => {
    const { reception, originalDestination, warnings, ownPorts, exchanges } = this.#options;
    const snapshot = this.#options.current();
    const verdict = snapshot === null ? "close" : reception.admit(wire);
    if (snapshot === null || verdict === "close") return null;
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
    if (refusesPlainText(snapshot, port)) {
      warnings.say("plain-text", `${from} to port ${port}: it is in plain text, and mutual TLS is required`);
      return null;
    }
    const acceptor = new PlainInboundAcceptor(exchanges, destination, wire.remoteAddress);
    const tcp = (wire: Wire) => reception.tcp(wire, (stream) => acceptor.acceptTcp(stream));
    const straight = inbound === undefined || inbound.declared === "tcp" || inbound.declared === "tls";
    if (verdict === "refuse") return reception.refuse(wire, expectationOf(inbound?.declared));
    if (straight) return tcp(wire);
    const protocols = {
      http1: (wire: Wire) => reception.http1(wire, acceptor),
      http2: (wire: Wire) => reception.http2(wire, acceptor),
      tls: tcp,
      tcp,
    };
    const { detectionTimeoutMs } = snapshot.settings;
    return reception.sniff(wire, expectationOf(inbound.declared), protocols, detectionTimeoutMs);
  };
}
