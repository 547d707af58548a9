/**
 * Port 15012: TLS 1.3 with the control plane's own certificate. A client certificate is asked for; a peer without one
 * may enrol and nothing else, and one that shows a bad one is refused.
 */
import type { Clock } from "../../lib/clock.ts";
import { TimerWheel } from "../../lib/timer_wheel.ts";
import { type PeerIdentity, peerIdentity } from "../../identity/peer_identity.ts";
import type { Acceptor, RequestHead, ServerHandler, ServerStream } from "../../proxy/exchange.ts";
import { Http1ServerConnection } from "../../proxy/http1/server_connection.ts";
import { HandshakingConnection } from "../../proxy/listener/handshaking_connection.ts";
import { type Listener, listenMutualTls } from "../../runtime/socket.ts";
import type { TlsMaterial } from "../../runtime/tls_options.ts";
import { type Address, setOwner, type TlsWire } from "../../runtime/wire.ts";
import { FetchAcceptor, type Peer, type PeerHandler } from "./fetch_bridge.ts";

/** Connections at once; above, new ones are closed. Each proxy holds two. */
const CONNECTIONS_MAX = 20_000;

/** Takes a request with a body that the codec itself serves, without Fetch; null: the handler answers it. */
export type OpenStream = (stream: ServerStream, head: RequestHead, peer: Peer) => ServerHandler | null;

export interface MtlsEndpointOptions {
  readonly address: Address;
  readonly clock: Clock;
  readonly trustDomain: string;
  tlsMaterial(): TlsMaterial;
  readonly handler: PeerHandler;
  readonly openStream: OpenStream;
  warn(message: string): void;
}

/** A certificate that TLS has proved to be the peer's. */
type Proof = Extract<PeerIdentity, { readonly ok: true }>;

export class MtlsEndpoint {
  readonly #options: MtlsEndpointOptions;
  readonly #wheel: TimerWheel;
  /** With what the peer has proved; null: nothing. */
  readonly #connections = new Map<Http1ServerConnection, Proof | null>();
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

  /** Breaks off the connections of peers whose certificates are good for nothing any more. */
  cut(isShutOut: (proof: Proof) => boolean): void {
    for (const [connection, proof] of [...this.#connections]) {
      if (proof !== null && isShutOut(proof)) connection.cut();
    }
  }

  #judge(wire: TlsWire, error: Error | null): void {
    const { clock, trustDomain, handler, openStream, warn } = this.#options;
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
    const proof = verdict.ok ? verdict : null;
    const address = wire.remoteAddress;
    const nobody = { spiffeId: null, serial: null, address };
    const peer = proof === null ? nobody : { spiffeId: proof.spiffeId, serial: proof.serial, address };
    // A certificate that has expired since the handshake proves nothing any more.
    const current = () => proof !== null && clock.now() > proof.notAfterMs ? nobody : peer;
    const fetch = new FetchAcceptor((request) => handler(request, current()), peer);
    const acceptor: Acceptor = {
      accept: (stream, head, ended) =>
        (ended ? null : openStream(stream, head, current())) ?? fetch.accept(stream, head, ended),
      onMalformed: () => {},
    };
    const connection = new Http1ServerConnection(wire, acceptor, this.#wheel, "https", (closed) => {
      this.#connections.delete(closed);
    });
    this.#connections.set(connection, proof);
    setOwner(wire, connection);
  }
}
