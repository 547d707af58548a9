/**
 * The server's side of an HTTP/1 connection: reads one request after the other, hands each to the acceptor, writes its
 * response. One request is in flight at a time; pipelined ones wait in the buffer.
 */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import type { Wire, WireOwner } from "../../runtime/socket.ts";
import type {
  Acceptor,
  HeaderList,
  ResetReason,
  ResponseHead,
  ServerHandler,
  ServerStream,
} from "../exchange.ts";
import { ByteWriter } from "../io/byte_writer.ts";
import { BodyReader, type BodySink } from "./body_reader.ts";
import { HeadBuffer } from "./head_buffer.ts";
import { writeChunk, writeInformational, writeLastChunk, writeResponseHead } from "./head_writer.ts";
import { parseRequestHead } from "./head.ts";
import { HEAD_TIMEOUT_MS, IDLE_TIMEOUT_MS, PIPELINE_BYTES_MAX, STREAM_IDLE_TIMEOUT_MS } from "./limits.ts";
import { MALFORMED, Malformed } from "./malformed.ts";
import { reasonPhrase } from "./reason_phrase.ts";

/** After the last response the peer gets this long to read it and close (RFC 9112 §9.6). */
const LINGER_MS = 5_000;

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
  onWheel = false;
  readonly #wire: Wire;
  readonly #acceptor: Acceptor;
  readonly #wheel: TimerWheel;
  readonly #scheme: string;
  readonly #onClosed: (connection: Http1ServerConnection) => void;
  readonly #writer: ByteWriter;
  readonly #heads = new HeadBuffer();
  readonly #request = new BodyReader(this);
  #state = State.Head;
  #handler: ServerHandler | null = null;
  /** Bytes behind the request in flight. */
  #pipelined: Buffer | null = null;
  #pipelinedFrom = 0;
  #requestPaused = false;
  #wirePaused = false;
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

  constructor(
    wire: Wire,
    acceptor: Acceptor,
    wheel: TimerWheel,
    scheme: string,
    onClosed: (connection: Http1ServerConnection) => void,
  ) {
    this.#wire = wire;
    this.#onClosed = onClosed;
    this.#acceptor = acceptor;
    this.#wheel = wheel;
    this.#scheme = scheme;
    this.#writer = new ByteWriter(wire, () => this.#handler?.onDownstreamWritable());
    wheel.set(this, IDLE_TIMEOUT_MS);
  }

  /** Answers what is in flight with `connection: close`; an idle connection closes now. */
  drain(): void {
    this.#draining = true;
    if (this.#state === State.Head && this.#heads.isEmpty) this.#linger();
  }

  // From the wire.

  onData(chunk: Buffer): void {
    if (this.#state === State.Head) this.#readHeads(chunk, 0);
    else if (this.#state === State.Exchange) this.#readRequest(chunk, 0);
  }

  onDrain(): void {
    this.#writer.onDrain();
    if (this.#state === State.Exchange) this.#touch();
    else if (this.#state === State.Lingering) this.#shutdownWhenSent();
  }

  onEnd(): void {
    this.#peerEnded = true;
    // A client may close its half after the request and still read the response.
    if (this.#state === State.Exchange && this.#request.done) return;
    this.#abort("closed");
  }

  onClose(): void {
    this.#onClosed(this);
    if (this.#state === State.Closed) return;
    this.#state = State.Closed;
    this.#wheel.clear(this);
    this.#writer.close();
    const handler = this.#handler;
    this.#handler = null;
    if (handler !== null && !this.#responseEnded) handler.onDownstreamReset("closed");
  }

  onDeadline(): void {
    if (this.#state === State.Head && !this.#heads.isEmpty) this.#refuse(MALFORMED.headTimeout);
    else if (this.#state === State.Exchange) this.#abort("timeout");
    else this.#close();
  }

  // The request.

  #readHeads(chunk: Buffer, from: number): void {
    const fresh = this.#heads.isEmpty;
    const text = this.#heads.take(chunk, from);
    if (text === null) {
      if (fresh && !this.#heads.isEmpty) this.#wheel.set(this, HEAD_TIMEOUT_MS);
      return;
    }
    if (text instanceof Malformed) return this.#refuse(text);
    const parsed = parseRequestHead(text, this.#scheme);
    if (parsed instanceof Malformed) return this.#refuse(parsed);
    const { head } = parsed;
    this.#state = State.Exchange;
    this.#responded = false;
    this.#responseEnded = false;
    this.#keepAlive = parsed.keepAlive && !this.#draining;
    this.#http10 = parsed.http10;
    this.#toHead = head.method === "HEAD";
    const ended = head.bodyLength === 0;
    if (!ended) {
      if (head.bodyLength > 0) this.#request.startLength(head.bodyLength);
      else this.#request.startChunked();
    }
    this.#touch();
    const rest = this.#heads.rest as Buffer;
    const restFrom = this.#heads.restFrom;
    this.#heads.clear();
    this.#handler = this.#acceptor.accept(this, head, ended);
    if (this.#handlerIsDone()) this.#handler = null;
    if (restFrom < rest.length) this.#readRequest(rest, restFrom);
    else this.#finishIfDone();
  }

  /** An acceptor may answer at once, before it returned the handler. */
  #handlerIsDone(): boolean {
    return this.#responseEnded && this.#request.done;
  }

  #readRequest(chunk: Buffer, from: number): void {
    this.#touch();
    let position = from;
    if (!this.#request.done) {
      position = this.#request.read(chunk, from);
      if (position < 0) return this.#refuseBody();
    }
    if (position < chunk.length && this.#state === State.Exchange) this.#keepPipelined(chunk, position);
    this.#finishIfDone();
  }

  onBody(chunk: Uint8Array): void {
    // After a response that did not wait for the request, the rest of it is of no interest.
    if (!this.#responseEnded) this.#handler?.onRequestBody(chunk);
  }

  onBodyEnd(trailers: HeaderList | null): void {
    if (!this.#responseEnded) this.#handler?.onRequestEnd(trailers);
  }

  #keepPipelined(chunk: Buffer, from: number): void {
    const rest = chunk.subarray(from);
    const held = this.#pipelined?.subarray(this.#pipelinedFrom);
    this.#pipelined = held === undefined ? rest : Buffer.concat([held, rest]);
    this.#pipelinedFrom = 0;
    if (this.#pipelined.length > PIPELINE_BYTES_MAX) this.#pauseWire();
  }

  pauseRequest(): void {
    this.#requestPaused = true;
    this.#pauseWire();
  }

  resumeRequest(): void {
    this.#requestPaused = false;
    if (this.#pipelined === null || this.#pipelined.length <= PIPELINE_BYTES_MAX) this.#resumeWire();
  }

  #pauseWire(): void {
    if (this.#wirePaused) return;
    this.#wirePaused = true;
    this.#wire.pause();
  }

  #resumeWire(): void {
    if (!this.#wirePaused) return;
    this.#wirePaused = false;
    this.#wire.resume();
  }

  // The response.

  inform(status: number, headers: HeaderList): void {
    if (this.#state !== State.Exchange || this.#http10) return;
    writeInformational(this.#writer, status, headers);
    this.#writer.flushSoon();
  }

  respond(head: ResponseHead): void {
    if (this.#state !== State.Exchange) return;
    this.#responded = true;
    const { status } = head;
    this.#bodiless = this.#toHead || status === 204 || status === 304;
    if (this.#draining) this.#keepAlive = false;
    // Only the end of the connection can end a body of unknown length for HTTP/1.0.
    if (this.#http10 && head.bodyLength < 0 && !this.#bodiless) this.#keepAlive = false;
    this.#chunked = writeResponseHead(this.#writer, head, {
      toHead: this.#toHead,
      http10: this.#http10,
      keepAlive: this.#keepAlive,
    });
    this.#writer.flushSoon();
  }

  body(chunk: Uint8Array): boolean {
    if (this.#state !== State.Exchange || this.#bodiless) return true;
    this.#touch();
    const room = this.#chunked ? writeChunk(this.#writer, chunk) : this.#writer.bytes(chunk);
    this.#writer.flushSoon();
    return room;
  }

  end(trailers: HeaderList | null): void {
    if (this.#state !== State.Exchange) return;
    if (this.#chunked) writeLastChunk(this.#writer, trailers);
    this.#responseEnded = true;
    this.#writer.flushSoon();
    // Inside accept() or a body callback the reader goes on itself.
    queueMicrotask(this.#finishSoon);
  }

  reset(): void {
    if (this.#state === State.Exchange) this.#close();
  }

  readonly #finishSoon = (): void => this.#finishIfDone();

  /** Both messages are over: on to the next request, or good-bye. */
  #finishIfDone(): void {
    if (this.#state !== State.Exchange || !this.#responseEnded) return;
    this.#handler = null;
    if (!this.#keepAlive || !this.#request.done || this.#peerEnded) return this.#linger();
    this.#state = State.Head;
    this.#wheel.set(this, IDLE_TIMEOUT_MS);
    this.#requestPaused = false;
    const next = this.#pipelined;
    this.#pipelined = null;
    this.#resumeWire();
    if (next !== null) this.#readHeads(next, this.#pipelinedFrom);
    else if (this.#draining) this.#linger();
  }

  // Endings.

  /** Answers a message that is no request, and closes. */
  #refuse(malformed: Malformed): void {
    const { status, details } = malformed;
    this.#acceptor.onMalformed(status, details);
    this.#writer.text(
      `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
    );
    this.#writer.flush();
    this.#linger();
  }

  /** The body broke the protocol: answer if nothing was said yet, and close in any case. */
  #refuseBody(): void {
    const handler = this.#handler;
    const answered = this.#responded;
    this.#handler = null;
    handler?.onDownstreamReset("protocol-error");
    if (answered) this.#close();
    else this.#refuse(MALFORMED.chunk);
  }

  #linger(): void {
    if (this.#state === State.Closed) return;
    this.#state = State.Lingering;
    this.#pipelined = null;
    this.#resumeWire();
    this.#writer.flush();
    this.#wheel.set(this, LINGER_MS);
    this.#shutdownWhenSent();
  }

  #shutdownWhenSent(): void {
    if (this.#writer.unsent > 0) return;
    if (this.#peerEnded) this.#wire.end();
    else this.#wire.shutdown();
  }

  #abort(reason: ResetReason): void {
    const handler = this.#handler;
    this.#handler = null;
    if (this.#state === State.Exchange && !this.#responseEnded) handler?.onDownstreamReset(reason);
    this.#close();
  }

  #close(): void {
    if (this.#state === State.Closed) return;
    const unsaid = this.#state === State.Exchange && !this.#responseEnded;
    this.#state = State.Closed;
    this.#handler = null;
    this.#wheel.clear(this);
    this.#writer.close();
    if (unsaid) this.#wire.terminate();
    else this.#wire.end();
  }

  #touch(): void {
    this.#wheel.set(this, STREAM_IDLE_TIMEOUT_MS);
  }
}
