/**
 * The client's side of an HTTP/1 connection: writes one request, reads its response, and is free for the next when
 * both are whole. Whatever the upstream does wrong ends the connection; it is never reused.
 */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import { setOwner, type Wire, type WireOwner } from "../../runtime/wire.ts";
import {
  BODY_LENGTH_UNKNOWN,
  type ClientHandler,
  type ClientStream,
  type HeaderList,
  opensTunnel,
  type RequestHead,
  type ResetReason,
  type ResponseHead,
  type TunnelRequest,
} from "../exchange.ts";
import { ByteWriter } from "../io/byte_writer.ts";
import { Tunnel } from "../io/tunnel.ts";
import { type ConnectionTerms, TERMS_DEFAULT } from "../connection_terms.ts";
import type { UpstreamConnection, UpstreamOwner } from "../upstream_connection.ts";
import { BodyReader, type BodySink } from "./body_reader.ts";
import { HeadBuffer } from "./head_buffer.ts";
import { writeChunk, writeLastChunk, writeRequestHead } from "./head_writer.ts";
import { parseResponseHead } from "./head.ts";
import { Malformed } from "./malformed.ts";

/** 1xx responses before the final one; more is an upstream gone wrong. */
const INFORMATIONAL_MAX = 16;

/** First octet of every status line, and of an empty line that may come before it. */
const LETTER_H = 0x48;
const CARRIAGE_RETURN = 0x0d;

export class Http1ClientConnection implements WireOwner, UpstreamConnection, ClientStream, BodySink, Timed {
  pooled = false;
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wire: Wire;
  readonly #owner: UpstreamOwner;
  readonly #wheel: TimerWheel;
  readonly #writer: ByteWriter;
  readonly #terms: Pick<ConnectionTerms, "idleTimeoutMs" | "limits">;
  readonly #heads: HeadBuffer;
  readonly #response = new BodyReader(this);
  #handler: ClientHandler | null = null;
  #closed = false;
  #retired = false;
  #paused = false;
  #used = false;
  // Of the exchange in flight:
  #requestEnded = false;
  #responseEnded = false;
  #responded = false;
  #heard = false;
  /** The connection stood before: it may be closing as the request is sent. */
  #kept = false;
  #chunked = false;
  #toHead = false;
  #keepAlive = false;
  #informational = 0;
  #asked: TunnelRequest | null = null;
  /** Bytes for the tunnel before the upstream has granted it: one that refuses would read another request in them. */
  #early: Uint8Array[] | null = null;
  /** Who owns the wire after the upstream granted a tunnel. */
  #tunnel: Tunnel | null = null;

  constructor(
    wire: Wire,
    owner: UpstreamOwner,
    wheel: TimerWheel,
    terms: Pick<ConnectionTerms, "idleTimeoutMs" | "limits"> = TERMS_DEFAULT,
  ) {
    this.#terms = terms;
    this.#heads = new HeadBuffer(terms.limits.responseHeaderBytes);
    this.#wire = wire;
    this.#owner = owner;
    this.#wheel = wheel;
    this.#writer = new ByteWriter(wire, () => this.#handler?.onUpstreamWritable());
    this.#rest();
  }

  /** Sends a request; the connection must be idle. `ended`: it has no body. */
  request(handler: ClientHandler, head: RequestHead, ended: boolean): ClientStream {
    this.#handler = handler;
    this.#kept = this.#used || this.pooled;
    this.#used = true;
    this.#requestEnded = ended;
    this.#responseEnded = false;
    this.#responded = false;
    this.#heard = false;
    this.#keepAlive = false;
    this.#informational = 0;
    this.#toHead = head.method === "HEAD";
    this.#asked = head.tunnel ?? null;
    this.#early = null;
    this.#chunked = writeRequestHead(this.#writer, head);
    this.#writer.flushSoon();
    this.#touch();
    return this;
  }

  get capacity(): number {
    return this.#handler === null && !this.#closed && !this.#retired ? 1 : 0;
  }

  retire(): void {
    this.#retired = true;
    if (this.#handler === null) this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#wire.end();
    this.#leave();
  }

  // The request.

  body(chunk: Uint8Array): boolean {
    if (this.#tunnel !== null) return this.#tunnel.send(chunk);
    if (this.#closed || this.#handler === null) return true;
    this.#touch();
    if (this.#asked !== null) {
      (this.#early ??= []).push(chunk);
      return false;
    }
    const room = this.#chunked ? writeChunk(this.#writer, chunk) : this.#writer.bytes(chunk);
    this.#writer.flushSoon();
    return room;
  }

  end(trailers: HeaderList | null): void {
    if (this.#tunnel !== null) return this.#tunnel.finish();
    if (this.#closed || this.#handler === null) return;
    this.#touch();
    if (this.#chunked) writeLastChunk(this.#writer, trailers);
    this.#writer.flushSoon();
    this.#requestEnded = true;
  }

  reset(): void {
    this.#handler = null;
    if (this.#tunnel !== null) return this.#tunnel.reset();
    this.#terminate();
  }

  pauseResponse(): void {
    if (this.#tunnel !== null) return this.#tunnel.pause();
    if (this.#paused || this.#closed) return;
    this.#paused = true;
    this.#wire.pause();
  }

  resumeResponse(): void {
    if (this.#tunnel !== null) return this.#tunnel.resume();
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#closed) this.#wire.resume();
  }

  // From the wire.

  onData(chunk: Buffer): void {
    if (this.#closed) return;
    // Nobody asked: an answer to nothing must not become the answer to the next request.
    if (this.#handler === null) return this.#terminate();
    this.#heard = true;
    this.#touch();
    let position = 0;
    while (position < chunk.length && this.#handler !== null) {
      if (this.#response.done) {
        if (this.#responded) return this.#fail("protocol-error");
        position = this.#readHead(chunk, position);
        if (position < 0) return;
        chunk = this.#heads.rest as Buffer;
        this.#heads.clear();
      } else {
        position = this.#response.read(chunk, position);
        if (position < 0) return this.#fail("protocol-error");
      }
      if (this.#responseEnded) break;
    }
    if (this.#responseEnded) this.#finish(position < chunk.length);
  }

  onDrain(): void {
    if (this.#handler !== null) this.#touch();
    this.#writer.onDrain();
  }

  onEnd(): void {
    if (this.#handler !== null && this.#responded && !this.#response.done && this.#response.finish()) {
      this.#finish(false);
      return;
    }
    this.#fail("closed");
  }

  onClose(): void {
    this.#fail("closed");
  }

  onDeadline(): void {
    if (this.#handler === null) return this.#terminate();
    const asked = this.#requestEnded || this.#asked !== null;
    const upstreamsTurn = !this.#paused && (asked || this.#writer.unsent > 0);
    // Otherwise the client is slow, and its own connection has a timeout for that.
    if (upstreamsTurn) this.#fail("timeout");
    else this.#touch();
  }

  // The response.

  /** Reads a head; -1: not whole yet, or the connection failed. */
  #readHead(chunk: Buffer, from: number): number {
    const text = this.#heads.take(chunk, from);
    if (text === null) {
      const { firstOctet: first } = this.#heads;
      // An upstream that speaks something else, and waits for its turn, would be waited for.
      if (first !== null && first !== LETTER_H && first !== CARRIAGE_RETURN) this.#fail("protocol-error");
      return -1;
    }
    const parsed = text instanceof Malformed
      ? text
      : parseResponseHead(text, this.#toHead, this.#terms.limits.responseHeaderCount);
    if (parsed instanceof Malformed) {
      this.#fail("protocol-error");
      return -1;
    }
    const { head } = parsed;
    const handler = this.#handler as ClientHandler;
    const next = this.#heads.restFrom;
    if (opensTunnel(this.#asked, head.status) && (head.status !== 101 || parsed.upgrade === this.#asked)) {
      this.#openTunnel(head, next);
      return -1;
    }
    if (head.status < 200) {
      // 101 answers an upgrade that was never sent, or switches to something else.
      if (head.status === 101 || ++this.#informational > INFORMATIONAL_MAX) {
        this.#fail("protocol-error");
        return -1;
      }
      handler.onInform(head.status, head.headers);
      return next;
    }
    this.#responded = true;
    this.#keepAlive = parsed.keepAlive;
    const bodiless = this.#toHead || head.status === 204 || head.status === 304 || head.bodyLength === 0;
    if (!bodiless) {
      if (parsed.chunked) this.#response.startChunked();
      else if (head.bodyLength > 0) this.#response.startLength(head.bodyLength);
      else this.#response.startUntilClose();
    }
    handler.onResponse(head);
    if (bodiless) this.onBodyEnd(null);
    return next;
  }

  /** From here on the connection carries bytes; the first may have come with the head. */
  #openTunnel(head: ResponseHead, from: number): void {
    const rest = this.#heads.rest as Buffer;
    const handler = this.#handler as ClientHandler;
    this.#heads.clear();
    this.#wheel.clear(this);
    const tunnel = new Tunnel(this.#wire, this.#writer, this.#wheel, this.#terms.limits.tunnelIdleMs, {
      onBytes: (chunk) => this.#handler?.onResponseBody(chunk),
      onBytesEnd: () => this.#handler?.onResponseEnd(null),
      onBroken: (reason) => this.#handler?.onUpstreamReset(reason, true),
      onGone: () => {
        this.#closed = true;
        this.#owner.onGone(this);
      },
    });
    this.#tunnel = tunnel;
    setOwner(this.#wire, tunnel);
    handler.onResponse({ ...head, bodyLength: BODY_LENGTH_UNKNOWN });
    this.#sendEarly(tunnel);
    if (from < rest.length) tunnel.onData(rest.subarray(from));
  }

  #sendEarly(tunnel: Tunnel): void {
    const early = this.#early ?? [];
    this.#early = null;
    let room = true;
    for (const chunk of early) room = tunnel.send(chunk);
    if (this.#requestEnded) tunnel.finish();
    else if (room && early.length > 0) this.#handler?.onUpstreamWritable();
  }

  onBody(chunk: Uint8Array): void {
    this.#handler?.onResponseBody(chunk);
  }

  onBodyEnd(trailers: HeaderList | null): void {
    this.#responseEnded = true;
    this.#handler?.onResponseEnd(trailers);
  }

  /** The response is whole. `excess`: the upstream sent more than that, so nothing it says next can be trusted. */
  #finish(excess: boolean): void {
    const reusable = this.#handler !== null && this.#keepAlive && !this.#retired && this.#requestEnded &&
      !excess &&
      !this.#closed;
    this.#handler = null;
    if (!reusable) return this.#terminate();
    this.resumeResponse();
    this.#rest();
    this.#owner.onCapacity(this);
  }

  #fail(reason: ResetReason): void {
    const handler = this.#handler;
    this.#handler = null;
    const unseen = reason === "closed" && this.#kept && !this.#heard;
    this.#terminate();
    // A connection that was kept alive and closes without a word most likely closed before it saw the request.
    handler?.onUpstreamReset(reason, !unseen);
  }

  #terminate(): void {
    if (this.#closed) return;
    this.#wire.terminate();
    this.#leave();
  }

  #leave(): void {
    this.#closed = true;
    this.#wheel.clear(this);
    this.#writer.close();
    this.#owner.onGone(this);
  }

  /** No request is in flight. */
  #rest(): void {
    const { idleTimeoutMs } = this.#terms;
    if (idleTimeoutMs === 0) this.#wheel.clear(this);
    else this.#wheel.set(this, idleTimeoutMs);
  }

  #touch(): void {
    this.#wheel.set(this, this.#terms.limits.streamIdleMs);
  }
}
