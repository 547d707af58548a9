/** One connection on its way: TCP, then for mTLS the handshake and the check of who answered. */
import type { Clock } from "../../lib/clock.ts";
import { peerIdentity } from "../../identity/peer_identity.ts";
import {
  type Connect,
  setOwner,
  type TlsMaterial,
  type TlsWire,
  type TlsWireOwner,
  type Wire,
  type WireOwner,
} from "../../runtime/socket.ts";
import type { ResetReason } from "../exchange.ts";

/** Where a host is, who must answer there, and what is spoken. */
export interface HostAddress {
  readonly hostname: string;
  readonly port: number;
  /** The SPIFFE ID that must answer, over mTLS; null: plain text. */
  readonly spiffeId: string | null;
  /** `tcp`: one tunnel a connection, whatever is spoken in it. */
  readonly protocol: "http1" | "http2" | "tcp";
  /** Whose connections these are: a cluster with limits shares its own with nobody. @default everybody's */
  readonly pool?: string;
}

export interface ConnectContext {
  readonly clock: Clock;
  readonly connect: Connect;
  readonly trustDomain: string;
  /** The own certificate and the trusted roots, fresh at every connection; null: there is none yet. */
  tlsMaterial(): TlsMaterial | null;
  /** One line for the log: a peer that was refused, and why. */
  warn(message: string): void;
}

const ALPN = { http1: ["http/1.1"], http2: ["h2"], tcp: undefined } as const;

export interface ConnectOutcome {
  ready(wire: Wire): WireOwner;
  failed(reason: ResetReason): void;
}

export class ConnectAttempt implements TlsWireOwner {
  readonly #context: ConnectContext;
  readonly #address: HostAddress;
  readonly #outcome: ConnectOutcome;
  #wire: Wire | null = null;
  #over = false;
  #cancelTimer: () => void = () => {};

  constructor(context: ConnectContext, address: HostAddress, outcome: ConnectOutcome) {
    this.#context = context;
    this.#address = address;
    this.#outcome = outcome;
  }

  start(timeoutMs: number): void {
    const plain = this.#address.spiffeId === null;
    const material = plain ? null : this.#context.tlsMaterial();
    // Without a certificate of its own the proxy is nobody, and calls nobody.
    if (!plain && material === null) return this.#fail("connect-failure");
    const alpn = ALPN[this.#address.protocol];
    const tls = material === null ? null : { ...material, ...(alpn === undefined ? {} : { alpn }) };
    this.#cancelTimer = this.#context.clock.after(timeoutMs, () => this.#fail("connect-timeout"));
    this.#context.connect(this.#address, tls, {
      opened: (wire) => {
        this.#wire = wire;
        if (this.#over) {
          wire.terminate();
          return this;
        }
        return plain ? this.#succeed(wire) : this;
      },
      failed: () => this.#fail("connect-failure"),
    });
  }

  onHandshake(wire: TlsWire, error: Error | null): void {
    if (this.#over) return;
    const verdict = peerIdentity({ error, certificate: wire.getPeerCertificate() }, {
      peer: "server",
      trustDomain: this.#context.trustDomain,
      spiffeId: this.#address.spiffeId,
      nowMs: this.#context.clock.now(),
    });
    if (!verdict.ok) {
      const { hostname, port } = this.#address;
      this.#context.warn(`Refused the peer at ${hostname}:${port} (${verdict.code}): ${verdict.detail}`);
      this.#fail("peer-refused");
      return;
    }
    if (this.#address.protocol === "http2" && wire.alpnProtocol !== "h2") return this.#fail("protocol-error");
    setOwner(wire, this.#succeed(wire));
  }

  /** Bytes before the handshake is judged are nobody's. */
  onData(): void {
    this.#fail("protocol-error");
  }

  onDrain(): void {}

  onEnd(): void {
    this.#fail("connect-failure");
  }

  onClose(): void {
    this.#fail("connect-failure");
  }

  #succeed(wire: Wire): WireOwner {
    this.#over = true;
    this.#cancelTimer();
    return this.#outcome.ready(wire);
  }

  #fail(reason: ResetReason): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimer();
    this.#wire?.terminate();
    this.#outcome.failed(reason);
  }
}
