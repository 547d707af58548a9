/** The server's side of an HTTP/2 connection: many requests at once, each handed to the acceptor. */
import { httpDate } from "../../lib/http_date.ts";
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import { DEFAULT_LIMITS, type Limits } from "../../model/limits.ts";
import type { Wire } from "../../runtime/wire.ts";
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
import { BODY_TIMEOUT_MS } from "../http1/limits.ts";
import { grpcStatusOf, isGrpc, trailersOnly } from "../local_reply.ts";
import { Http2Connection } from "./connection.ts";
import type { FieldSection } from "./field_section.ts";
import type { FrameReader } from "./frame_reader.ts";
import { ErrorCode, PREFACE, Setting, STREAM_ID_MAX } from "./frames.ts";
import { encodeResponseHead, readRequestHead, readTrailers, refusedUpgrade } from "./heads.ts";
import { DRAIN_PING_TIMEOUT_MS, LINGER_MS } from "./limits.ts";
import { Http2Stream } from "./stream.ts";

export class Http2ServerConnection extends Http2Connection {
  readonly #acceptor: Acceptor;
  readonly #onClosed: (connection: Http2ServerConnection) => void;
  #prefaced = false;
  #lastId = 0;
  /** What GOAWAY told: it never rises (§6.8). */
  #lastIdTold = STREAM_ID_MAX;
  #draining = false;
  /** The peer knows of the drain: whatever it still begins is refused. */
  #drainHeard = false;

  constructor(
    wire: Wire,
    acceptor: Acceptor,
    wheel: TimerWheel,
    onClosed: (connection: Http2ServerConnection) => void,
    limits: Limits = DEFAULT_LIMITS,
  ) {
    super(wire, wheel, limits, { bytes: limits.requestHeaderBytes, count: limits.requestHeaderCount });
    this.#acceptor = acceptor;
    this.#onClosed = onClosed;
    wheel.set(this, limits.requestHeadersMs);
    this.sendSettings([Setting.EnableConnectProtocol, 1]);
  }

  /**
   * Asks for no more streams; the connection ends with the last that is open. In two steps (§6.8): streams that were on
   * their way when the peer heard of it are still served, since not all of them could be sent again.
   */
  drain(): void {
    if (this.#draining || this.closed) return;
    this.#draining = true;
    this.frames.goAway(STREAM_ID_MAX, ErrorCode.NoError);
    this.frames.ping();
    this.rest();
  }

  /** Breaks off what is in flight. */
  cut(): void {
    this.close("closed");
  }

  protected override onPingAck(): void {
    if (this.#draining && !this.#drainHeard) this.#refuseNew();
  }

  override onDeadline(): void {
    if (this.#draining && !this.#drainHeard) this.#refuseNew();
    else super.onDeadline();
  }

  protected override rest(): void {
    if (this.#draining) this.wheel.set(this, DRAIN_PING_TIMEOUT_MS);
    else super.rest();
  }

  #refuseNew(): void {
    this.#drainHeard = true;
    this.#lastIdTold = this.#lastId;
    this.frames.goAway(this.#lastId, ErrorCode.NoError);
    this.onStreamsChanged();
  }

  protected override readPreface(reader: FrameReader): boolean {
    if (this.#prefaced) return true;
    const taken = reader.take(PREFACE);
    if (taken === false) this.fail(ErrorCode.ProtocolError, "http2.preface");
    if (taken === true) this.#prefaced = true;
    return this.#prefaced;
  }

  protected override isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.#lastId;
  }

  protected override get lastPeerStreamId(): number {
    return Math.min(this.#lastId, this.#lastIdTold);
  }

  protected override onNewStream(id: number, section: FieldSection, ended: boolean, tooLarge: boolean): void {
    if ((id & 1) === 0) return this.fail(ErrorCode.ProtocolError, "http2.even_stream");
    this.#lastId = id;
    const stream = new Http2ServerStream(this, id, this.windows.initial);
    this.open(stream);
    if (this.#drainHeard || this.streams.size > this.limits.http2Streams) {
      return this.resetStream(stream, ErrorCode.RefusedStream);
    }
    if (tooLarge) return this.#refuseHead(stream, section, ended);
    const head = readRequestHead(section, ended);
    if (head === undefined) {
      this.#acceptor.onMalformed(400, "http2.malformed_request");
      return this.resetStream(stream, ErrorCode.ProtocolError);
    }
    if (section.secrets !== null) head.neverIndexed = section.secrets;
    stream.expected = head.tunnel === null ? head.bodyLength : -1;
    stream.remoteEnded = ended;
    stream.start(this.#acceptor, head, ended);
  }

  protected override onHeaders(
    stream: Http2Stream,
    section: FieldSection,
    ended: boolean,
    tooLarge: boolean,
  ): void {
    const trailers = ended && !tooLarge ? readTrailers(section) : undefined;
    if (trailers === undefined) this.refuseStream(stream);
    else this.endRemote(stream, trailers);
  }

  /** A client has nothing to tell by it but that it opens no more pushes. */
  protected override onGoAway(): void {}

  protected override onStreamsChanged(): void {
    if (this.streams.size > 0) return;
    if (this.#drainHeard) this.fail(ErrorCode.NoError, "http2.drained");
    else this.rest();
  }

  protected override onBroken(details: string): void {
    this.#acceptor.onMalformed(400, details);
  }

  protected override onGone(): void {
    this.#onClosed(this);
  }

  sendResponse(stream: Http2ServerStream, head: ResponseHead, bodiless: boolean, ended: boolean): void {
    encodeResponseHead(this.encoder, head, bodiless, httpDate(this.wheel.clock.now()));
    this.sendBlock(stream.id, ended);
  }

  /** Sets the deadline of the next bytes of its body. False: bodies have no pace here. */
  pace(stream: Http2ServerStream): boolean {
    if (this.bodyRateBytes === 0) return false;
    this.wheel.set(stream, BODY_TIMEOUT_MS);
    return true;
  }

  /** Bytes that a body of announced length brings in each such time. */
  get bodyRateBytes(): number {
    return this.limits.requestBodyRateBytes;
  }

  /** Bears the rest of the stream's request for a moment. */
  linger(stream: Http2ServerStream): void {
    this.wheel.set(stream, LINGER_MS);
    stream.lingering = true;
    stream.resume();
  }

  /** It is larger than the limit; what is within it was read, and tells whether it is gRPC. */
  #refuseHead(stream: Http2ServerStream, section: FieldSection, ended: boolean): void {
    const [status, details] = [431, "http2.head_too_large"];
    this.#acceptor.onMalformed(status, details);
    if (isGrpc(section)) this.say(stream, 200, trailersOnly(grpcStatusOf(status), details));
    else this.say(stream, status);
    if (ended) this.forget(stream);
    else this.linger(stream);
  }

  /** Answers in the codec's own name. */
  say(stream: Http2ServerStream, status: number, headers: HeaderList = []): void {
    this.sendResponse(stream, { status, headers, bodyLength: 0 }, false, true);
    stream.localEnded = true;
  }
}

export class Http2ServerStream extends Http2Stream implements ServerStream {
  readonly #server: Http2ServerConnection;
  #handler: ServerHandler | null = null;
  #toHead = false;
  #bodiless = false;
  #asked: TunnelRequest | null = null;
  /** The client may hold its body back until it hears 100. */
  #awaitsContinue = false;
  /** Bytes of a paced body that were still to come as its deadline was set. */
  #paceFrom = 0;

  constructor(connection: Http2ServerConnection, id: number, sendWindow: number) {
    super(connection, id, sendWindow);
    this.#server = connection;
  }

  start(acceptor: Acceptor, head: Parameters<Acceptor["accept"]>[1], ended: boolean): void {
    this.#toHead = head.method === "HEAD";
    this.#asked = head.tunnel ?? null;
    const handler = acceptor.accept(this, head, ended);
    if (this.closed) return;
    this.#handler = handler;
    if (head.bodyLength <= 0 || this.#asked !== null) return;
    this.#awaitsContinue = headerValue(head.headers, "expect") !== undefined;
    if (!this.#awaitsContinue) this.#pace();
  }

  /** Whoever trickles a body of announced length holds an upstream for nothing, as in HTTP/1. */
  #pace(): void {
    this.#awaitsContinue = false;
    this.#paceFrom = this.expected;
    this.paced = !this.closed && !this.answered && !this.remoteEnded && this.#server.pace(this);
  }

  #endPace(): void {
    this.paced = false;
    this.#server.touch(this);
  }

  #judgeBody(): void {
    const came = this.#paceFrom - this.expected;
    if (this.isPaused || came >= this.#server.bodyRateBytes) return this.#pace();
    this.paced = false;
    this.#giveUp();
  }

  /** The client says no more of a request that nobody has answered: its handler does so now, or we do. */
  #giveUp(): void {
    this.#server.touch(this);
    this.onReset("timeout");
    if (this.answered) return;
    this.#server.say(this, 408);
    this.#server.linger(this);
  }

  inform(status: number, headers: HeaderList): void {
    if (this.closed) return;
    this.#server.sendResponse(this, { status, headers, bodyLength: -1 }, true, false);
    if (status === 100 && this.#awaitsContinue) this.#pace();
  }

  respond(head: ResponseHead): void {
    if (this.closed) return;
    this.answered = true;
    if (this.paced) this.#endPace();
    if (opensTunnel(this.#asked, head.status)) {
      // RFC 8441 §5: what HTTP/1 calls 101 is 200 here. A tunnel has no length.
      const status = head.status === 101 ? 200 : head.status;
      this.openTunnel();
      this.#server.sendResponse(this, { status, headers: head.headers, bodyLength: -1 }, false, false);
      return;
    }
    const { status, bodyLength } = head;
    this.#bodiless = this.#toHead || status === 204 || status === 304 || bodyLength === 0;
    this.remaining = bodyLength;
    const said = this.#asked === "websocket" ? refusedUpgrade(head) : head;
    this.#server.sendResponse(this, said, this.#bodiless && bodyLength !== 0, this.#bodiless);
    if (this.#bodiless) this.#server.endLocal(this);
  }

  override body(chunk: Uint8Array): boolean {
    if (this.#bodiless) return true;
    return super.body(chunk);
  }

  override end(trailers: HeaderList | null): void {
    if (this.#bodiless) return;
    super.end(trailers);
  }

  reset(): void {
    this.#handler = null;
    this.#server.resetStream(this, ErrorCode.InternalError);
  }

  pauseRequest(): void {
    this.pause();
  }

  resumeRequest(): void {
    this.resume();
    if (this.paced) this.#pace();
  }

  override onData(chunk: Uint8Array): void {
    if (this.#awaitsContinue) this.#pace();
    this.#handler?.onRequestBody(chunk);
  }

  override onEnd(trailers: HeaderList | null): void {
    if (this.paced) this.#endPace();
    this.#handler?.onRequestEnd(trailers);
  }

  override onReset(reason: ResetReason): void {
    const handler = this.#handler;
    this.#handler = null;
    handler?.onDownstreamReset(reason);
  }

  override onWritable(): void {
    this.#handler?.onDownstreamWritable();
  }

  /** The response is whole and the request is not: the rest of it is of no use (§8.1). */
  override onLocalEnd(): void {
    if (this.tunnelling) return;
    this.#handler = null;
    this.#server.linger(this);
  }

  override onDeadline(): void {
    if (this.lingering) return this.#server.resetStream(this, ErrorCode.NoError);
    if (this.paced) return this.#judgeBody();
    // Otherwise the handler is slow, and it has timeouts of its own.
    const clientsTurn = this.tunnelling || this.isHeldUp || !(this.remoteEnded || this.isPaused);
    if (!clientsTurn) this.#server.touch(this);
    else if (this.answered) super.onDeadline();
    else this.#giveUp();
  }
}
