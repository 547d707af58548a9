/** The client's side of a TCP connection to an upstream that speaks no HTTP: one tunnel, which answers as soon as it stands. */
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import type { Wire, WireOwner } from "../../runtime/wire.ts";
import {
  BODY_LENGTH_UNKNOWN,
  type ClientHandler,
  type ClientStream,
  type RequestHead,
  type ResetReason,
} from "../exchange.ts";
import { ByteWriter } from "../io/byte_writer.ts";
import { Tunnel, type TunnelSink } from "../io/tunnel.ts";
import { type ConnectionTerms, TERMS_DEFAULT } from "../connection_terms.ts";
import type { UpstreamConnection, UpstreamOwner } from "../upstream_connection.ts";

export class TcpClientConnection implements WireOwner, UpstreamConnection, ClientStream, TunnelSink {
  pooled = false;
  readonly #tunnel: Tunnel;
  readonly #owner: UpstreamOwner;
  #handler: ClientHandler | null = null;
  #taken = false;
  /** What a server says before the tunnel is taken. */
  #early: Uint8Array[] = [];

  constructor(
    wire: Wire,
    owner: UpstreamOwner,
    wheel: TimerWheel,
    { tunnelIdleTimeoutMs }: Pick<ConnectionTerms, "tunnelIdleTimeoutMs"> = TERMS_DEFAULT,
  ) {
    this.#owner = owner;
    const writer = new ByteWriter(wire, () => this.#handler?.onUpstreamWritable());
    this.#tunnel = new Tunnel(wire, writer, wheel, tunnelIdleTimeoutMs, this);
  }

  get capacity(): number {
    return this.#taken ? 0 : 1;
  }

  request(handler: ClientHandler, _head: RequestHead, _ended: boolean): ClientStream {
    this.#taken = true;
    this.#handler = handler;
    // After the caller has the stream.
    queueMicrotask(() => {
      this.#tunnel.resume();
      this.#handler?.onResponse({ status: 200, headers: [], bodyLength: BODY_LENGTH_UNKNOWN });
      for (const chunk of this.#early.splice(0)) this.#handler?.onResponseBody(chunk);
    });
    return this;
  }

  retire(): void {
    if (!this.#taken) this.#tunnel.reset();
  }

  // The request.

  body(chunk: Uint8Array): boolean {
    return this.#tunnel.send(chunk);
  }

  end(): void {
    this.#tunnel.finish();
  }

  reset(): void {
    this.#handler = null;
    this.#tunnel.reset();
  }

  pauseResponse(): void {
    this.#tunnel.pause();
  }

  resumeResponse(): void {
    this.#tunnel.resume();
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
    if (this.#handler !== null) return this.#handler.onResponseBody(chunk);
    // Nobody may ever ask for it: what a server says on and on waits in the kernel.
    this.#tunnel.pause();
    this.#early.push(chunk);
  }

  onBytesEnd(): void {
    // Whoever was given it now would wait for an end that is over.
    if (this.#handler === null) this.#tunnel.reset();
    else this.#handler.onResponseEnd(null);
  }

  onBroken(reason: ResetReason): void {
    const handler = this.#handler;
    this.#handler = null;
    handler?.onUpstreamReset(reason, true);
  }

  onGone(): void {
    this.#owner.onGone(this);
  }
}
