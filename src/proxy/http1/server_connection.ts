/**
 * The server's side of an HTTP/1 connection: reads one request after the other, hands each to the acceptor, writes its
 * response. One request is in flight at a time; pipelined ones wait in the buffer.
 */
import { httpDate } from "../../lib/http_date.ts";
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import { afterCallback } from "../../lib/turn.ts";
import { DEFAULT_LIMITS, type Limits } from "../../model/limits.ts";
import { setOwner, type Wire, type WireOwner } from "../../runtime/wire.ts";
import {
  type Acceptor,
  type HeaderList,
  headerValue,
  opensTunnel,
  type ResetReason,
  type ResponseHead,
  type ServerHandler,
  type ServerStream,
  type TunnelRequest,
} from "../exchange.ts";
import { ByteWriter, WRITE_HIGH_WATER_BYTES } from "../io/byte_writer.ts";
import { Tunnel } from "../io/tunnel.ts";
import { BodyPace } from "./body_pace.ts";
import { BodyReader, type BodySink } from "./body_reader.ts";
import { HeadBuffer } from "./head_buffer.ts";
import {
  writeChunk,
  writeInformational,
  writeLastChunk,
  writeRefusal,
  writeResponseHead,
  writeTunnelHead,
} from "./head_writer.ts";
import { parseRequestHead } from "./head.ts";
import { DISCARD_BYTES_MAX, DRAIN_IDLE_MS, HALF_CLOSED_MS, LINGER_MS } from "./limits.ts";
import { MALFORMED, Malformed } from "./malformed.ts";
import { Pipeline } from "./pipeline.ts";

enum State {
  /** Between requests, or in the middle of a head. */
  Head,
  /** A request is in flight: from its head to the end of both messages. */
  Exchange,
  /** Everything was said; what still comes is thrown away until the peer closes. */
  Lingering,
  Closed,
}

export class Http1ServerConnection implements WireOwner, ServerStream, BodySink, Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wire: Wire;
  readonly #acceptor: Acceptor;
  readonly #wheel: TimerWheel;
  readonly #scheme: string;
  readonly #onClosed: (connection: Http1ServerConnection) => void;
  readonly #writer: ByteWriter;
  readonly #limits: Limits;
  readonly #heads: HeadBuffer;
  readonly #request = new BodyReader(this);
  #state = State.Head;
  #handler: ServerHandler | null = null;
  readonly #pace: BodyPace;
  readonly #pipeline: Pipeline;
  #requestPaused = false;
  #peerEnded = false;
  #draining = false;
  // Of the exchange in flight:
  #responded = false;
  #responseEnded = false;
  #chunked = false;
  #bodiless = false;
  #keepAlive = true;
  #http10 = false;
  #toHead = false;
  #asked: TunnelRequest | null = null;
  /** Who owns the wire after a tunnel was asked for and granted. */
  #tunnel: Tunnel | null = null;
  /** The response is over before the request; the rest of that is thrown away. */
  #discards = false;
  /** The client may hold its body back until it hears 100. */
  #awaitsContinue = false;

  constructor(
    wire: Wire,
    acceptor: Acceptor,
    wheel: TimerWheel,
    scheme: string,
    onClosed: (connection: Http1ServerConnection) => void,
    limits: Limits = DEFAULT_LIMITS,
  ) {
    this.#limits = limits;
    this.#heads = new HeadBuffer(limits.requestHeaderBytes);
    this.#wire = wire;
    this.#onClosed = onClosed;
    this.#acceptor = acceptor;
    this.#wheel = wheel;
    this.#scheme = scheme;
    this.#writer = new ByteWriter(wire, () => this.#handler?.onDownstreamWritable());
    this.#pace = new BodyPace(wheel, this, limits.requestBodyRateBytes);
    this.#pipeline = new Pipeline(wire);
    wheel.set(this, limits.connectionIdleMs);
  }

  /** Answers what is in flight, or comes in the next moment, with `connection: close`, and ends. */
  drain(): void {
    this.#draining = true;
    if (this.#state === State.Head && this.#heads.isEmpty) this.#wheel.set(this, DRAIN_IDLE_MS);
  }

  /** Breaks off what is in flight, so that it does not look whole. */
  cut(): void {
    if (this.#tunnel !== null) this.#tunnel.reset();
    this.#abort("closed");
  }

  // From the wire.

  onData(chunk: Buffer): void {
    if (this.#state === State.Head) {
      this.#readHead(chunk, 0);
    } else if (this.#state === State.Exchange) {
      this.#readRequest(chunk, 0);
      this.#finishIfDone();
    }
  }

  onDrain(): void {
    const waited = this.#writer.unsent > 0;
    this.#writer.onDrain();
    if (this.#state === State.Lingering) return this.#shutdownWhenSent();
    if (this.#state !== State.Exchange) return;
    // It is said behind the client's FIN, too, which is no reason to wait for long.
    if (waited) this.#touch();
    this.#finishIfDone();
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.#state === State.Exchange) {
      // A client may close its half after the request and still read the response, but not for ever.
      if (this.#request.done) return this.#awaitHalfClosed();
      if (!this.#responseEnded) return this.#abort("closed");
    }
    this.#linger();
  }

  onClose(): void {
    this.#onClosed(this);
    if (this.#state === State.Closed) return;
    const handler = this.#handler;
    this.#forget();
    if (handler !== null && !this.#responseEnded) handler.onDownstreamReset("closed");
  }

  onDeadline(): void {
    if (this.#state === State.Head && !this.#heads.isEmpty) return this.#refuse(MALFORMED.headTimeout);
    if (this.#state !== State.Exchange || this.#responseEnded) return this.#endIdle();
    if (this.#peerEnded && this.#writer.unsent === 0) return this.#abort("closed");
    if (this.#pace.isKept) return this.#judgeBody();
    const clientsTurn = this.#writer.unsent > 0 || (!this.#request.done && !this.#requestPaused);
    // Otherwise the handler is slow, and it has timeouts of its own.
    if (clientsTurn) this.#breakOff("timeout", MALFORMED.bodyTimeout);
    else this.#touch();
  }

  // The request.

  #readHead(chunk: Buffer, from: number): void {
    const fresh = this.#heads.isEmpty;
    const text = this.#heads.take(chunk, from);
    if (text === null) {
      if (this.#peerEnded) this.#linger();
      else if (fresh && !this.#heads.isEmpty) this.#wheel.set(this, this.#limits.requestHeadersMs);
      return;
    }
    if (text instanceof Malformed) return this.#refuse(text);
    const parsed = parseRequestHead(text, this.#scheme, this.#limits.requestHeaderCount);
    if (parsed instanceof Malformed) return this.#refuse(parsed);
    const { head } = parsed;
    this.#state = State.Exchange;
    this.#responded = false;
    this.#responseEnded = false;
    this.#keepAlive = parsed.keepAlive && !this.#draining;
    this.#http10 = parsed.http10;
    this.#toHead = head.method === "HEAD";
    this.#asked = head.tunnel ?? null;
    const ended = head.bodyLength === 0 && this.#asked === null;
    if (!ended && this.#asked === null) {
      if (head.bodyLength > 0) this.#request.startLength(head.bodyLength);
      else this.#request.startChunked();
      this.#awaitsContinue = headerValue(head.headers, "expect") !== undefined;
    }
    this.#pace.stop();
    this.#discards = false;
    if (this.#peerEnded) this.#awaitHalfClosed();
    else if (!this.#awaitsContinue && this.#hasPace) this.#pace.start();
    else this.#touch();
    const rest = this.#heads.rest as Buffer;
    const restFrom = this.#heads.restFrom;
    this.#heads.clear();
    const early = this.#asked !== null && restFrom < rest.length;
    // Whoever refuses the tunnel at once is to find it.
    if (early) this.#pipeline.keep(rest.subarray(restFrom));
    const handler = this.#acceptor.accept(this, head, ended);
    if (!this.#inExchange()) return;
    // The acceptor may have answered already: end() then sees to it that all goes on once this callback is over.
    if (!this.#responseEnded || !this.#request.done) this.#handler = handler;
    if (!early && restFrom < rest.length) this.#readRequest(rest, restFrom);
    if (this.#peerEnded && !this.#request.done && this.#inExchange()) this.#abort("closed");
  }

  /** A body of announced length, which is to come as fast as that. */
  get #hasPace(): boolean {
    const { remaining } = this.#request;
    return remaining > 0 && remaining < Number.POSITIVE_INFINITY && this.#limits.requestBodyRateBytes > 0;
  }

  /** The client holds its body back no more, as it was told or by itself. */
  #endAwaiting(): void {
    this.#awaitsContinue = false;
    if (this.#hasPace && !this.#responded) this.#pace.start();
  }

  #inExchange(): boolean {
    return this.#state === State.Exchange;
  }

  #readRequest(chunk: Buffer, from: number): void {
    // The rest of a request that is answered already has no more time than it was given then.
    if (!this.#peerEnded && !this.#responseEnded) this.#touch();
    let position = from;
    if (!this.#request.done) {
      if (this.#awaitsContinue) this.#endAwaiting();
      position = this.#request.read(chunk, from);
      this.#pace.count(position - from);
      if (this.#request.done) this.#pace.stop();
      if (!this.#inExchange()) return;
      if (position < 0) return this.#breakOff("protocol-error", MALFORMED.chunk);
    }
    if (position < chunk.length) this.#pipeline.keep(chunk.subarray(position));
  }

  onBody(chunk: Uint8Array): void {
    // After a response that did not wait for the request, the rest of it is of no interest.
    if (!this.#responseEnded) this.#handler?.onRequestBody(chunk);
  }

  onBodyEnd(trailers: HeaderList | null): void {
    if (!this.#responseEnded) this.#handler?.onRequestEnd(trailers);
  }

  pauseRequest(): void {
    if (this.#tunnel !== null) return this.#tunnel.pause();
    if (this.#state !== State.Exchange || this.#responseEnded) return;
    this.#requestPaused = true;
    this.#pipeline.pause();
  }

  resumeRequest(): void {
    if (this.#tunnel !== null) return this.#tunnel.resume();
    this.#requestPaused = false;
    if (this.#pace.isKept) this.#pace.start();
    this.#pipeline.resume();
  }

  // The response.

  inform(status: number, headers: HeaderList): void {
    if (this.#state !== State.Exchange || this.#http10) return;
    if (status === 100 && this.#awaitsContinue) this.#endAwaiting();
    writeInformational(this.#writer, status, headers);
    this.#writer.flushSoon();
  }

  respond(head: ResponseHead): void {
    if (this.#state !== State.Exchange) return;
    this.#responded = true;
    if (this.#pace.isKept) {
      this.#pace.stop();
      this.#touch();
    }
    const { status } = head;
    if (opensTunnel(this.#asked, status)) return this.#openTunnel(head);
    // Refused: bytes that came behind the request may be anything, and are not read as another one.
    if (this.#asked !== null && !this.#pipeline.isEmpty) this.#keepAlive = false;
    this.#bodiless = this.#toHead || status === 204 || status === 304;
    if (this.#draining || !this.#canOvertake()) this.#keepAlive = false;
    // Only the end of the connection can end a body of unknown length for HTTP/1.0.
    if (this.#http10 && head.bodyLength < 0 && !this.#bodiless) this.#keepAlive = false;
    this.#chunked = writeResponseHead(this.#writer, head, {
      toHead: this.#toHead,
      http10: this.#http10,
      keepAlive: this.#keepAlive,
      date: this.#date,
    });
    this.#writer.flushSoon();
  }

  body(chunk: Uint8Array): boolean {
    if (this.#tunnel !== null) return this.#tunnel.send(chunk);
    if (this.#state !== State.Exchange || this.#bodiless) return true;
    this.#touch();
    const room = this.#chunked ? writeChunk(this.#writer, chunk) : this.#writer.bytes(chunk);
    this.#writer.flushSoon();
    return room;
  }

  end(trailers: HeaderList | null): void {
    if (this.#tunnel !== null) return this.#tunnel.finish();
    if (this.#state !== State.Exchange) return;
    if (this.#chunked) writeLastChunk(this.#writer, trailers);
    this.#responseEnded = true;
    this.#writer.flushSoon();
    // Inside accept() or a body callback the reader goes on itself.
    afterCallback(this.#finishSoon);
  }

  get #date(): string {
    return httpDate(this.#wheel.clock.now());
  }

  reset(): void {
    if (this.#tunnel !== null) this.#tunnel.reset();
    else if (this.#state === State.Exchange) this.#close();
  }

  /** From here on the connection carries bytes; those that came too early were kept. */
  #openTunnel(head: ResponseHead): void {
    const early = this.#pipeline.take();
    writeTunnelHead(this.#writer, head, this.#date);
    this.#writer.flushSoon();
    this.#wheel.clear(this);
    const tunnel = new Tunnel(this.#wire, this.#writer, this.#wheel, this.#limits.tunnelIdleMs, {
      onBytes: (chunk) => this.#handler?.onRequestBody(chunk),
      onBytesEnd: () => this.#handler?.onRequestEnd(null),
      onBroken: (reason) => this.#handler?.onDownstreamReset(reason),
      onGone: () => {
        this.#state = State.Closed;
        this.#onClosed(this);
      },
    });
    this.#tunnel = tunnel;
    setOwner(this.#wire, tunnel);
    this.#pipeline.resume();
    // Not inside the upstream's callback that brought the answer.
    queueMicrotask(() => {
      if (early !== null) tunnel.onData(early);
      if (this.#peerEnded) tunnel.onEnd();
    });
  }

  readonly #finishSoon = (): void => this.#finishIfDone();

  /** Whether the rest of the request is short, and sure to come, so that the connection outlives a response before it. */
  #canOvertake(): boolean {
    return this.#request.done || (this.#request.remaining <= DISCARD_BYTES_MAX && !this.#awaitsContinue);
  }

  /** Both messages are over: on to the next request, or good-bye. */
  #finishIfDone(): void {
    if (this.#state !== State.Exchange || !this.#responseEnded) return;
    this.#handler = null;
    this.#requestPaused = false;
    if (!this.#keepAlive || (this.#peerEnded && this.#pipeline.isEmpty)) return this.#linger();
    if (!this.#request.done) {
      this.#pipeline.resume();
      // Once: whoever trickles it gets no more time with each byte.
      if (!this.#discards) this.#wheel.set(this, LINGER_MS);
      this.#discards = true;
      return;
    }
    // A client that sends and does not read is not answered on and on.
    if (this.#writer.holdsMoreThan(WRITE_HIGH_WATER_BYTES)) return this.#pipeline.pause();
    this.#state = State.Head;
    this.#wheel.set(this, this.#limits.connectionIdleMs);
    const next = this.#pipeline.take();
    this.#pipeline.resume();
    if (next !== null) this.#readHead(next, 0);
    else if (this.#draining) this.#linger();
  }

  // Endings.

  /** Answers a message that is no request, and closes. */
  #refuse(malformed: Malformed): void {
    this.#acceptor.onMalformed(malformed.status, malformed.details);
    if (malformed.unanswered) this.#linger();
    else this.#say(malformed.status);
  }

  #say(status: number): void {
    writeRefusal(this.#writer, status, this.#date);
    this.#linger();
  }

  /** The client failed in the middle of an exchange: answers if nothing was said yet, and closes in any case. */
  #breakOff(reason: ResetReason, answer: Malformed): void {
    this.#pace.stop();
    if (this.#responseEnded) return this.#linger();
    if (this.#responded) return this.#abort(reason);
    const handler = this.#handler;
    this.#handler = null;
    this.#keepAlive = false;
    handler?.onDownstreamReset(reason);
    // Unless the handler has just said so itself.
    if (!this.#responded) this.#say(answer.status);
  }

  /** Says no more; what is unsent still goes out, and what still comes is thrown away. */
  #linger(): void {
    if (this.#state === State.Closed) return;
    this.#state = State.Lingering;
    this.#pipeline.take();
    this.#heads.clear();
    this.#pipeline.resume();
    this.#writer.flush();
    this.#shutdownWhenSent();
  }

  #shutdownWhenSent(): void {
    // Reading may take as long as in any exchange; closing may not.
    if (this.#writer.unsent > 0) return this.#touch();
    this.#wheel.set(this, LINGER_MS);
    if (this.#peerEnded) this.#wire.end();
    else this.#wire.shutdown();
  }

  /** A peer that does not read on would never close its side, and hold up a drain. */
  #endIdle(): void {
    this.#close();
    this.#onClosed(this);
  }

  #abort(reason: ResetReason): void {
    const handler = this.#handler;
    this.#handler = null;
    handler?.onDownstreamReset(reason);
    this.#close();
  }

  #close(): void {
    if (this.#state === State.Closed) return;
    // A part must not look whole.
    const unsaid = this.#writer.unsent > 0 || (this.#state === State.Exchange && !this.#responseEnded);
    this.#forget();
    if (unsaid) this.#wire.terminate();
    else this.#wire.end();
  }

  #forget(): void {
    this.#state = State.Closed;
    this.#handler = null;
    this.#pipeline.take();
    this.#heads.clear();
    this.#wheel.clear(this);
    this.#writer.close();
  }

  #touch(): void {
    if (!this.#pace.isKept) this.#wheel.set(this, this.#limits.streamIdleMs);
  }

  #judgeBody(): void {
    if (!this.#pace.goesOn(this.#requestPaused)) this.#breakOff("timeout", MALFORMED.bodyTimeout);
  }

  /** The first write tells whether the client is still there: one that is gone answers it with a reset. */
  #awaitHalfClosed(): void {
    if (this.#writer.unsent > 0) this.#touch();
    else this.#wheel.set(this, HALF_CLOSED_MS);
  }
}
