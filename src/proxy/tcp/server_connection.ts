/**
 * The downstream's side of a TCP connection that nobody asked for by CONNECT, since it was captured: it takes the part of
 * such a request, so that everything behind it is as for any other tunnel. Nothing is read from the client before the
 * upstream stands; a refusal, which HTTP would tell, is a reset.
 */
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import { DEFAULT_LIMITS, type Limits } from "../../model/limits.ts";
import type { Wire, WireOwner } from "../../runtime/wire.ts";
import {
  opensTunnel,
  type RequestHead,
  type ResetReason,
  type ResponseHead,
  type ServerHandler,
  type ServerStream,
} from "../exchange.ts";
import { ByteWriter } from "../io/byte_writer.ts";
import { Tunnel, type TunnelSink } from "../io/tunnel.ts";

/** The request that a connection to this authority stands for. */
export function connectHead(authority: string): RequestHead {
  return {
    method: "CONNECT",
    scheme: "http",
    authority,
    path: "",
    headers: [],
    bodyLength: 0,
    tunnel: "connect",
  };
}

export class TcpServerConnection implements WireOwner, ServerStream, TunnelSink {
  readonly #tunnel: Tunnel;
  readonly #onClosed: (connection: TcpServerConnection) => void;
  #handler: ServerHandler | null = null;
  /** The exchange asks for no more bytes. */
  #paused = false;
  /** The upstream stands. */
  #open = false;
  /** What the client said before that; null once it is told. */
  #early: Uint8Array[] | null = [];
  #earlyEnd = false;

  constructor(
    wire: Wire,
    wheel: TimerWheel,
    onClosed: (connection: TcpServerConnection) => void,
    limits: Limits = DEFAULT_LIMITS,
  ) {
    this.#onClosed = onClosed;
    const writer = new ByteWriter(wire, () => this.#handler?.onDownstreamWritable());
    this.#tunnel = new Tunnel(wire, writer, wheel, limits.tunnelIdleMs, this);
  }

  /** Gives the connection to an acceptor; called once, before the connection hears of anything. */
  start(accept: (stream: ServerStream) => ServerHandler): void {
    this.#tunnel.pause();
    this.#handler = accept(this);
  }

  /** What is in flight ends by itself. */
  drain(): void {}

  /** Breaks it off, so that the peer sees a reset and no end. */
  cut(): void {
    this.onBroken("closed");
    this.#tunnel.reset();
  }

  // The exchange.

  inform(): void {}

  respond({ status }: ResponseHead): void {
    if (!opensTunnel("connect", status)) return this.reset();
    this.#open = true;
    // Not inside the upstream's callback that brought the answer, nor before `start` has the handler.
    queueMicrotask(() => this.#tellEarly());
  }

  body(chunk: Uint8Array): boolean {
    return this.#tunnel.send(chunk);
  }

  end(): void {
    this.#tunnel.finish();
  }

  reset(): void {
    this.#early = null;
    this.#tunnel.reset();
  }

  pauseRequest(): void {
    this.#paused = true;
    this.#tunnel.pause();
  }

  resumeRequest(): void {
    this.#paused = false;
    if (this.#open) this.#tunnel.resume();
  }

  #tellEarly(): void {
    const early = this.#early;
    if (early === null) return;
    this.#early = null;
    for (const chunk of early) this.#handler?.onRequestBody(chunk);
    if (this.#earlyEnd) this.#handler?.onRequestEnd(null);
    if (!this.#paused) this.#tunnel.resume();
  }

  // From the wire.

  onData(chunk: Buffer): void {
    this.#tunnel.onData(chunk);
  }

  onDrain(): void {
    this.#tunnel.onDrain();
  }

  onEnd(): void {
    this.#tunnel.onEnd();
  }

  onClose(error?: Error): void {
    this.#tunnel.onClose(error);
  }

  // From the tunnel.

  onBytes(chunk: Uint8Array): void {
    if (this.#early === null) this.#handler?.onRequestBody(chunk);
    else this.#early.push(chunk);
  }

  onBytesEnd(): void {
    if (this.#early === null) this.#handler?.onRequestEnd(null);
    else this.#earlyEnd = true;
  }

  onBroken(reason: ResetReason): void {
    this.#early = null;
    const handler = this.#handler;
    this.#handler = null;
    handler?.onDownstreamReset(reason);
  }

  onGone(): void {
    this.#onClosed(this);
  }
}
