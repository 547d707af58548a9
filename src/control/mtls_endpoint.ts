/**
 * Port 15012: TLS 1.3 with the control plane's own certificate. A client certificate is asked for; a peer without one
 * may enrol and nothing else, and one that shows a bad one is refused.
 */
import type { Clock } from "../lib/clock.ts";
import { TimerWheel } from "../lib/timer_wheel.ts";
import { peerIdentity } from "../identity/peer_identity.ts";
import { Http1ServerConnection } from "../proxy/http1/server_connection.ts";
import { HandshakingConnection } from "../proxy/listener/handshaking_connection.ts";
import {
  type Address,
  type Listener,
  listenMutualTls,
  setOwner,
  type TlsMaterial,
  type TlsWire,
} from "../runtime/socket.ts";
import { FetchAcceptor, type PeerHandler } from "./fetch_bridge.ts";

/** Connections at once; above, new ones are closed. Each proxy holds two. */
export const CONNECTIONS_MAX = 20_000;

export interface MtlsEndpointOptions {
  readonly address: Address;
  readonly clock: Clock;
  readonly trustDomain: string;
  tlsMaterial(): TlsMaterial;
  readonly handler: PeerHandler;
  warn(message: string): void;
}

export class MtlsEndpoint {
  readonly #options: MtlsEndpointOptions;
  readonly #wheel: TimerWheel;
  /** With the serial number of the peer's certificate. */
  readonly #connections = new Map<Http1ServerConnection, string | null>();
  readonly #listener: Listener;

  /** Listens at once. Throws ListenError. */
  constructor(options: MtlsEndpointOptions) {
    this.#options = options;
    this.#wheel = new TimerWheel(options.clock);
    this.#listener = listenMutualTls(
      options.address,
      options.tlsMaterial,
      (wire) => new HandshakingConnection(wire, this.#wheel, (tls, error) => this.#judge(tls, error)),
      { requireClientCertificate: false, alpn: ["http/1.1"] },
    );
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Stops listening and closes what is open. */
  close(): void {
    this.#listener.stop();
    for (const connection of this.#connections.keys()) connection.drain();
  }

  /** Breaks off the connections of peers with these certificates. */
  cut(isRevoked: (serial: string) => boolean): void {
    for (const [connection, serial] of [...this.#connections]) {
      if (serial !== null && isRevoked(serial)) connection.cut();
    }
  }

  #judge(wire: TlsWire, error: Error | null): void {
    const { clock, trustDomain, handler, warn } = this.#options;
    const certificate = wire.getPeerCertificate();
    const expected = { peer: "client", trustDomain, spiffeId: null, nowMs: clock.now() } as const;
    const verdict = peerIdentity({ error, certificate }, expected);
    if (!verdict.ok && verdict.code !== "certificate_missing") {
      warn(`Refused the peer from ${wire.remoteAddress} (${verdict.code}): ${verdict.detail}`);
      wire.terminate();
      return;
    }
    if (this.#connections.size >= CONNECTIONS_MAX) {
      wire.terminate();
      return;
    }
    const serial = verdict.ok ? verdict.serial : null;
    const peer = { spiffeId: verdict.ok ? verdict.spiffeId : null, serial, address: wire.remoteAddress };
    const acceptor = new FetchAcceptor(handler, peer);
    const connection = new Http1ServerConnection(wire, acceptor, this.#wheel, "https", (closed) => {
      this.#connections.delete(closed);
    });
    this.#connections.set(connection, serial);
    setOwner(wire, connection);
  }
}
