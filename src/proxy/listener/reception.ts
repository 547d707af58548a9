/** Gives accepted connections to whoever speaks their protocol, and keeps the books of all that are open. */
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import { DEFAULT_LIMITS, type Limits } from "../../model/limits.ts";
import { descriptorOf, NOBODY, type TlsWireOwner, type Wire, type WireOwner } from "../../runtime/wire.ts";
import type { Acceptor, ServerHandler, ServerStream } from "../exchange.ts";
import { Http1ServerConnection } from "../http1/server_connection.ts";
import { Http2ServerConnection } from "../http2/server_connection.ts";
import { TcpServerConnection } from "../tcp/server_connection.ts";
import type { ConnectionGate, Door, Side } from "./connection_gate.ts";
import { type HandshakeJudge, HandshakingConnection } from "./handshaking_connection.ts";
import { PlainConnection, type PlainProtocols } from "./plain_connection.ts";
import type { Expectation } from "./protocol_detector.ts";
import { HTTP1_REFUSAL, HTTP2_REFUSAL, RefusedConnection } from "./refused_connection.ts";

export class Reception {
  readonly gate: ConnectionGate;
  readonly #wheel: TimerWheel;
  readonly #door: Door;
  readonly #limits: Limits;
  /** Of connections that many share: there a body waits for the bytes of others, too, and has no pace. */
  readonly #sharedLimits: Limits;

  constructor(gate: ConnectionGate, wheel: TimerWheel, side: Side, limits: Limits = DEFAULT_LIMITS) {
    this.gate = gate;
    this.#wheel = wheel;
    this.#door = { side, closed: false };
    this.#limits = limits;
    this.#sharedLimits = { ...limits, requestBodyRateBytes: 0 };
  }

  /** Nobody is received here any more: what is in flight has as long to end as in a drain of the process. */
  close(): void {
    this.gate.drainDoor(this.#door, this.#limits.drainMs);
  }

  /** As `ConnectionGate.admit`. */
  admit(wire: Wire): "serve" | "refuse" | "close" {
    return this.gate.admit(descriptorOf(wire));
  }

  /** Whether there is room for a connection that has no descriptor of its own, since it is inside another one. */
  admitsMore(): boolean {
    return this.gate.admit(0) === "serve";
  }

  /** A plain connection until it has said what it speaks. `detectionMs` as for PlainConnection. @default the limit */
  sniff(wire: Wire, expectation: Expectation, protocols: PlainProtocols, detectionMs?: number): WireOwner {
    const { releaseUnproven } = this.gate;
    const options = { expectation, protocols, onOver: releaseUnproven, limits: this.#limits, detectionMs };
    return this.gate.holdSilent(new PlainConnection(wire, this.#wheel, options), this.#door);
  }

  /** One that has to begin with TLS, until it has said for which server. Who says nothing has as long as a handshake. */
  hello(wire: Wire, tls: PlainProtocols["tls"]): WireOwner {
    return this.sniff(wire, "tls", { ...CLOSED, tls }, this.#limits.tlsHandshakeMs);
  }

  /** A connection that carries HTTP or, where `bytes` takes them, anything else. */
  requests(
    wire: Wire,
    acceptor: Acceptor,
    bytes: ((stream: ServerStream) => ServerHandler) | null,
    detectionMs?: number,
  ): WireOwner {
    const others = bytes === null ? closed : (wire: Wire) => this.tcp(wire, bytes);
    return this.sniff(wire, bytes === null ? "http" : "any", {
      http1: (wire) => this.http1(wire, acceptor),
      http2: (wire) => this.http2(wire, acceptor),
      tls: others,
      tcp: others,
    }, detectionMs);
  }

  /** One too many: it is told so in what it speaks. */
  refuse(wire: Wire, expectation: Expectation): WireOwner {
    const { releaseUnproven } = this.gate;
    const protocols = this.#refusing;
    const options = { expectation, protocols, onOver: releaseUnproven, limits: this.#limits };
    return this.gate.holdRefused(new PlainConnection(wire, this.#wheel, options));
  }

  /** `scheme`: what the client spoke. */
  http1(wire: Wire, acceptor: Acceptor, scheme: "http" | "https" = "http"): WireOwner {
    const { releaseProven } = this.gate;
    return this.gate.holdProven(
      new Http1ServerConnection(wire, acceptor, this.#wheel, scheme, releaseProven, this.#limits),
      this.#door,
    );
  }

  /** `shared`: a proxy's, for all that call through it. */
  http2(wire: Wire, acceptor: Acceptor, shared = false): WireOwner {
    const { releaseProven } = this.gate;
    const limits = shared ? this.#sharedLimits : this.#limits;
    return this.gate.holdProven(
      new Http2ServerConnection(wire, acceptor, this.#wheel, releaseProven, limits),
      this.#door,
    );
  }

  /** A connection whose client is to show in a handshake who it is. */
  shakeHands(wire: Wire, judge: HandshakeJudge): TlsWireOwner {
    const { releaseUnproven } = this.gate;
    const { tlsHandshakeMs } = this.#limits;
    return this.gate.holdHandshaking(
      new HandshakingConnection(wire, this.#wheel, judge, releaseUnproven, tlsHandshakeMs),
      this.#door,
    );
  }

  /** Bytes: `accept` plays the part of an acceptor. */
  tcp(wire: Wire, accept: (stream: ServerStream) => ServerHandler): WireOwner {
    const { releaseProven } = this.gate;
    const connection = this.gate.holdProven(
      new TcpServerConnection(wire, this.#wheel, releaseProven, this.#limits),
      this.#door,
    );
    connection.start(accept);
    return connection;
  }

  readonly #refusing: PlainProtocols = {
    http1: (wire) => this.#say(wire, HTTP1_REFUSAL),
    http2: (wire) => this.#say(wire, HTTP2_REFUSAL),
    tls: closed,
    tcp: closed,
  };

  #say(wire: Wire, answer: Uint8Array): WireOwner {
    const { releaseUnproven } = this.gate;
    return this.gate.holdRefused(new RefusedConnection(wire, this.#wheel, answer, releaseUnproven));
  }
}

/** Ends a connection at once. */
export function closed(wire: Wire): WireOwner {
  wire.terminate();
  return NOBODY;
}

/** For a door at which only some protocols are spoken: whoever speaks another one. */
export const CLOSED = { http1: closed, http2: closed, tls: closed, tcp: closed };
