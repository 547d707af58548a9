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
import { HANDSHAKES_MAX } from "../../proxy/proxy_caps.ts";
import { openFilesMax } from "../../runtime/open_files_max.ts";
import { type Listener, listenMutualTls } from "../../runtime/socket.ts";
import type { TlsMaterial } from "../../runtime/tls_options.ts";
import { type Address, setOwner, type TlsWire, type Wire } from "../../runtime/wire.ts";
import { FetchAcceptor, type Peer, type PeerHandler } from "./fetch_bridge.ts";

/** Connections at once, in three groups: who has no certificate keeps nobody out who has one, nor anybody who is about to enrol. */
export interface EndpointCaps {
  /** Of peers with a certificate; each proxy holds two. Above: new ones are closed. */
  readonly proven: number;
  /** Of peers without: whoever is to enrol does so at once. Above: the oldest is closed. */
  readonly unproven: number;
  /** Whose handshake is not done. Above: the oldest is closed. */
  readonly handshakes: number;
}

const PROVEN_MAX = 20_000;
const UNPROVEN_MAX = 2_000;
// Shares of the descriptors of the process; the rest is for files and the other ports.
const PROVEN_SHARE = 0.6;
const UNPROVEN_SHARE = 0.1;
const HANDSHAKES_SHARE = 0.1;

/** `openFiles` is RLIMIT_NOFILE. */
export function endpointCaps(openFiles: number): EndpointCaps {
  const share = (part: number, most: number) => Math.min(Math.max(1, Math.floor(openFiles * part)), most);
  return {
    proven: share(PROVEN_SHARE, PROVEN_MAX),
    unproven: share(UNPROVEN_SHARE, UNPROVEN_MAX),
    handshakes: share(HANDSHAKES_SHARE, HANDSHAKES_MAX),
  };
}

/** Takes a request with a body that the codec itself serves, without Fetch; null: the handler answers it. */
export type OpenStream = (stream: ServerStream, head: RequestHead, peer: Peer) => ServerHandler | null;

export interface MtlsEndpointOptions {
  readonly address: Address;
  readonly clock: Clock;
  readonly trustDomain: string;
  tlsMaterial(): TlsMaterial;
  readonly handler: PeerHandler;
  readonly openStream: OpenStream;
  /** @default by the descriptors that the process may have */
  readonly caps?: EndpointCaps;
  warn(message: string): void;
}

/** A certificate that TLS has proved to be the peer's. */
type Proof = Extract<PeerIdentity, { readonly ok: true }>;

export class MtlsEndpoint {
  readonly #options: MtlsEndpointOptions;
  readonly #wheel: TimerWheel;
  readonly #caps: EndpointCaps;
  // They remember the order: the oldest is the first.
  readonly #handshaking = new Set<HandshakingConnection>();
  readonly #unproven = new Map<Http1ServerConnection, TlsWire>();
  /** With what the peer has proved. */
  readonly #proven = new Map<Http1ServerConnection, Proof>();
  readonly #listener: Listener;

  /** Listens at once. Throws ListenError. */
  constructor(options: MtlsEndpointOptions) {
    this.#options = options;
    this.#caps = options.caps ?? endpointCaps(openFilesMax());
    this.#wheel = new TimerWheel(options.clock);
    this.#listener = listenMutualTls(
      options.address,
      options.tlsMaterial,
      (wire) => this.#shakeHands(wire),
      { requireClientCertificate: false, alpn: ["http/1.1"] },
    );
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Stops listening and closes what is open. */
  close(): void {
    this.#listener.stop();
    for (const connection of [...this.#proven.keys(), ...this.#unproven.keys()]) connection.drain();
  }

  /** Breaks off the connections of peers whose certificates are good for nothing any more. */
  cut(isShutOut: (proof: Proof) => boolean): void {
    for (const [connection, proof] of [...this.#proven]) if (isShutOut(proof)) connection.cut();
  }

  #shakeHands(wire: Wire): HandshakingConnection {
    const [oldest] = this.#handshaking;
    if (oldest !== undefined && this.#handshaking.size >= this.#caps.handshakes) {
      this.#handshaking.delete(oldest);
      oldest.close();
    }
    const connection = new HandshakingConnection(
      wire,
      this.#wheel,
      (tls, error) => this.#judge(tls, error),
      (over) => this.#handshaking.delete(over),
    );
    this.#handshaking.add(connection);
    return connection;
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
    const proof = verdict.ok ? verdict : null;
    if (!this.#makesRoom(proof)) {
      wire.terminate();
      return;
    }
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
      this.#proven.delete(closed);
      this.#unproven.delete(closed);
    });
    if (proof === null) this.#unproven.set(connection, wire);
    else this.#proven.set(connection, proof);
    setOwner(wire, connection);
  }

  /** Whether there is room for one more who has proved this. */
  #makesRoom(proof: Proof | null): boolean {
    if (proof !== null) return this.#proven.size < this.#caps.proven;
    const [oldest] = this.#unproven;
    if (oldest !== undefined && this.#unproven.size >= this.#caps.unproven) {
      this.#unproven.delete(oldest[0]);
      // At once: a peer that was sent a FIN could hold on to its half.
      oldest[1].terminate();
    }
    return true;
  }
}
