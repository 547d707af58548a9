/**
 * One request over a connection of its own, to somebody who need not prove who it is: whoever answers is believed, over
 * TLS too. For what proves itself by its content, and for the own workload.
 */
import { BoundedBytes } from "../lib/bounded_bytes.ts";
import type { Clock } from "../lib/clock.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import type { ClientHandler, HeaderList, RequestHead, ResetReason, ResponseHead } from "../proxy/exchange.ts";
import { Http1ClientConnection } from "../proxy/http1/client_connection.ts";
import { Http2ClientConnection } from "../proxy/http2/client_connection.ts";
import type { UpstreamConnection, UpstreamOwner } from "../proxy/upstream_connection.ts";
import { connect } from "../runtime/socket.ts";
import {
  type Address,
  setOwner,
  type TlsWire,
  type TlsWireOwner,
  type Wire,
  type WireOwner,
} from "../runtime/wire.ts";
import { notConnected } from "./not_connected.ts";

const NO_IDENTITY = { chain: "", key: "", roots: "" } as const;
const ALPN = { http1: ["http/1.1"], http2: ["h2"] } as const;
const NO_BODY = new Uint8Array();

export interface SingleCallOptions {
  readonly address: Address;
  readonly tls: boolean;
  /** Both ends know which one without asking. */
  readonly protocol: "http1" | "http2";
  readonly head: RequestHead;
  /** @default none */
  readonly body?: Uint8Array;
  /** `head`: the status and the fields are the answer; the rest is read, so that nobody is cut off, and forgotten. */
  readonly until: "head" | "end";
  /** Of the answer's body. */
  readonly bytesMax: number;
  /** From the first packet to the end. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
}

export interface CallAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
  /** Null when there are none. */
  readonly trailers: HeaderList | null;
}

/** Rejects with an Error that says why in a clause: `it did not answer in time`. */
export function singleCall(options: SingleCallOptions): Promise<CallAnswer> {
  return new Promise((resolve, reject) => new Call(options, resolve, reject).start());
}

class Call implements TlsWireOwner, ClientHandler, UpstreamOwner {
  readonly #options: SingleCallOptions;
  readonly #resolve: (answer: CallAnswer) => void;
  readonly #reject: (error: Error) => void;
  readonly #body: BoundedBytes;
  #head: ResponseHead | null = null;
  #cancelTimeout: () => void = () => {};
  #wire: Wire | null = null;
  #connection: UpstreamConnection | null = null;
  #over = false;

  constructor(
    options: SingleCallOptions,
    resolve: (answer: CallAnswer) => void,
    reject: (error: Error) => void,
  ) {
    this.#options = options;
    this.#body = new BoundedBytes(options.bytesMax);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { address, tls, protocol, clock, timeoutMs } = this.#options;
    this.#cancelTimeout = clock.after(timeoutMs, () => this.#fail("it did not answer in time"));
    connect(address, tls ? { ...NO_IDENTITY, alpn: ALPN[protocol] } : null, {
      opened: (wire) => {
        this.#wire = wire;
        if (this.#over) wire.terminate();
        return this.#over || tls ? this : this.#ask(wire);
      },
      failed: () => this.#fail(notConnected(address.hostname)),
    });
  }

  /** Whatever certificate the other end showed will do; none comes where there is no TLS. */
  onHandshake(wire: TlsWire): void {
    if (this.#over) return;
    if (wire.getPeerCertificate()?.raw === undefined) return this.#fail("it does not speak TLS 1.3");
    setOwner(wire, this.#ask(wire));
  }

  onResponse(head: ResponseHead): void {
    this.#head = head;
    if (this.#options.until === "head") this.#answer(null);
  }

  onResponseBody(chunk: Uint8Array): void {
    if (this.#over) return;
    if (!this.#body.add(chunk)) this.#fail(`its answer is longer than ${this.#options.bytesMax} bytes`);
  }

  onResponseEnd(trailers: HeaderList | null): void {
    if (this.#over) return;
    this.#finish();
    this.#connection?.retire();
    this.#answer(trailers);
  }

  onUpstreamReset(_reason: ResetReason): void {
    this.#fail("it broke off the answer");
  }

  /** One question is all. */
  onCapacity(connection: UpstreamConnection): void {
    if (this.#over) connection.retire();
  }

  onGone(): void {}
  onInform(): void {}
  onUpstreamWritable(): void {}
  onDrain(): void {}

  // Before the handshake is done:

  onData(): void {
    this.#fail("it does not speak TLS 1.3");
  }

  onEnd(): void {
    this.#fail("it does not speak TLS 1.3");
  }

  onClose(): void {
    this.#fail("it does not speak TLS 1.3");
  }

  #ask(wire: Wire): WireOwner {
    const { protocol, wheel, head, body = NO_BODY } = this.#options;
    const connection = protocol === "http2"
      ? new Http2ClientConnection(wire, this, wheel)
      : new Http1ClientConnection(wire, this, wheel);
    this.#connection = connection;
    const stream = connection.request(this, head, body.length === 0);
    if (body.length > 0) {
      stream.body(body);
      stream.end(null);
    }
    return connection;
  }

  /** Only the first answer counts, and whatever fails after it does not. */
  #answer(trailers: HeaderList | null): void {
    const { status, headers } = this.#head as ResponseHead;
    this.#resolve({ status, headers, body: this.#body.joined(), trailers });
  }

  #fail(why: string): void {
    if (this.#over) return;
    this.#finish();
    this.#wire?.terminate();
    this.#reject(new Error(why));
  }

  #finish(): void {
    this.#over = true;
    this.#cancelTimeout();
  }
}
