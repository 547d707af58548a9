/** The client's side of an HTTP/2 connection: many requests at once, for everybody who calls the same peer. */
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import type { Wire } from "../../runtime/wire.ts";
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
import { type ConnectionTerms, TERMS_DEFAULT } from "../connection_terms.ts";
import type { UpstreamConnection, UpstreamOwner } from "../upstream_connection.ts";
import { AwaitedUpgrade } from "./awaited_upgrade.ts";
import { Http2Connection } from "./connection.ts";
import type { FieldSection } from "./field_section.ts";
import { ErrorCode, PREFACE, Setting, STREAM_ID_MAX } from "./frames.ts";
import { encodeRequestHead, readResponseHead, readTrailers, restoreRefusedUpgrade } from "./heads.ts";
import { Keepalive, type Kept } from "./keepalive.ts";
import { ABANDONED_MS, UNSENT_BYTES_MAX } from "./limits.ts";
import { Http2Stream } from "./stream.ts";

/** What a peer allows before it has said so: an honest guess, so that the first requests need not wait for its settings. */
export const STREAMS_ASSUMED = 100;

/** 1xx responses before the final one; more is an upstream gone wrong. */
const INFORMATIONAL_MAX = 16;

export class Http2ClientConnection extends Http2Connection implements UpstreamConnection, Kept {
  pooled = false;
  readonly #owner: UpstreamOwner;
  protected nextId = 1;
  override readonly enablePushMax = 0;
  /** Requests alone come to half of it, see `capacity`: then no more are given to a peer that is merely slow. */
  protected override readonly unsentBytesMax = 2 * UNSENT_BYTES_MAX;
  /** The peer takes no new streams, or we give it none. */
  #retired = false;
  /** A request was answered on it. */
  #proven = false;
  readonly #keepalive: Keepalive;
  readonly #streamsMax: number;
  /** The peer has said its settings. */
  #settled = false;
  /** Upgrades from before that. */
  readonly #awaited = new Set<AwaitedUpgrade>();

  constructor(
    wire: Wire,
    owner: UpstreamOwner,
    wheel: TimerWheel,
    { idleTimeoutMs, streamsMax, keepalive, limits }: ConnectionTerms = TERMS_DEFAULT,
  ) {
    super(wire, wheel, limits, { bytes: limits.responseHeaderBytes, count: limits.responseHeaderCount });
    this.#owner = owner;
    this.#streamsMax = streamsMax;
    this.#keepalive = new Keepalive(wheel, this, keepalive);
    this.peerStreamsMax = owner.streamsAssumed ?? STREAMS_ASSUMED;
    this.idleTimeoutMs = idleTimeoutMs;
    // For the peer's settings; after them it may be idle for as long as the terms say.
    wheel.set(this, limits.connectionIdleMs);
    this.writer.bytes(PREFACE);
    this.sendSettings([Setting.EnablePush, 0]);
  }

  override setStreamsMax(streams: number): void {
    this.#owner.onStreamsMax?.(streams);
    super.setStreamsMax(streams);
  }

  /** Requests that it takes now. */
  get capacity(): number {
    if (this.#retired || this.isOver || this.writer.unsent > UNSENT_BYTES_MAX) return 0;
    const taken = this.streams.size + this.#awaited.size;
    return Math.max(0, Math.min(this.peerStreamsMax, this.#streamsMax) - taken);
  }

  override get isBusy(): boolean {
    return super.isBusy || this.#awaited.size > 0;
  }

  /** `ended`: it has no body. There must be capacity. */
  request(handler: ClientHandler, head: RequestHead, ended: boolean): ClientStream {
    if (head.tunnel === "websocket" && !this.takesUpgrades) return this.#awaitSettings(handler, head);
    return this.#send(handler, head, ended);
  }

  /** RFC 8441 §3: no upgrade for a peer that has not said that it takes them. */
  #awaitSettings(handler: ClientHandler, head: RequestHead): ClientStream {
    const upgrade = new AwaitedUpgrade(handler, head, (one) => this.#withdraw(one));
    if (!this.#settled) {
      this.#awaited.add(upgrade);
      this.#keepalive.streamOpened();
    } else queueMicrotask(() => upgrade.refuse("refused"));
    return upgrade;
  }

  #withdraw(upgrade: AwaitedUpgrade): void {
    if (this.#awaited.delete(upgrade)) this.onStreamsChanged();
  }

  protected override onSettings(): void {
    this.#settled = true;
    const awaited = [...this.#awaited];
    this.#awaited.clear();
    for (const upgrade of awaited) {
      if (this.takesUpgrades) upgrade.send((handler, head) => this.#send(handler, head, false));
      else upgrade.refuse("refused");
    }
    if (awaited.length > 0) this.onStreamsChanged();
  }

  #send(handler: ClientHandler, head: RequestHead, ended: boolean): ClientStream {
    const stream = new Http2ClientStream(this, this.nextId, this.windows.initial, handler, head, ended);
    this.nextId += 2;
    this.open(stream);
    if (this.nextId > STREAM_ID_MAX) this.retire();
    encodeRequestHead(this.encoder, head);
    this.sendBlock(stream.id, ended);
    if (ended) this.endLocal(stream);
    this.#keepalive.streamOpened();
    return stream;
  }

  override onData(chunk: Buffer): void {
    if (!this.isOver) this.#keepalive.heard();
    super.onData(chunk);
  }

  /** Asks the peer for a sign of life. */
  ping(): void {
    this.frames.ping();
  }

  onDoubt(isDoubted: boolean): void {
    this.#owner.onDoubt?.(isDoubted);
  }

  /** The peer did not answer: its streams break off, and requests get other connections. */
  onLost(): void {
    this.#owner.onSilent?.(this);
    this.close("closed");
  }

  /** Whether it served, and then closed under what was in flight: nobody may have seen what was not answered. */
  get brokeOff(): boolean {
    return this.closed && this.#proven;
  }

  /** No new requests; ends with the last that is open. */
  retire(): void {
    this.#retired = true;
    this.onStreamsChanged();
  }

  /**
   * Nobody waits for the stream's answer any more. Clients may leave as they like, but the connection is everybody's: a
   * peer that takes many early resets for an attack (CVE-2023-44487) would end it under all others. Above half of what
   * we bear ourselves such a stream is given up once it is old enough, or answered.
   */
  abandon(stream: Http2ClientStream): void {
    const early = !stream.closed && !stream.responded && this.isYoung(stream);
    if (early && !this.guard.mayResetEarly) return this.#linger(stream);
    if (early) this.guard.prematureReset();
    this.resetStream(stream, ErrorCode.Cancel);
  }

  /** Sends no more on it: an end behind a part of a request would make it look whole. */
  #linger(stream: Http2ClientStream): void {
    this.windows.forget(stream);
    stream.dropPending();
    this.wheel.set(stream, ABANDONED_MS);
    stream.lingering = true;
    stream.resume();
  }

  /** An answer that nobody waits for: now that it has begun, the stream may go. */
  #hearAbandoned(stream: Http2ClientStream, { status }: FieldSection, ended: boolean): void {
    if (status?.startsWith("1") && !ended) return;
    stream.responded = true;
    if (ended) this.endRemoteHalf(stream, null);
    else this.resetStream(stream, ErrorCode.Cancel);
  }

  protected override isIdle(id: number): boolean {
    return (id & 1) === 0 || id >= this.nextId;
  }

  /** A server opens no streams: push is off. */
  protected override get lastPeerStreamId(): number {
    return 0;
  }

  protected override onNewStream(): void {
    this.fail(ErrorCode.ProtocolError, "http2.headers_on_idle_stream");
  }

  protected override onHeaders(
    stream: Http2Stream,
    section: FieldSection,
    ended: boolean,
    tooLarge: boolean,
  ): void {
    const one = stream as Http2ClientStream;
    if (one.lingering) return this.#hearAbandoned(one, section, ended);
    if (one.responded) {
      const trailers = ended && !tooLarge ? readTrailers(section) : undefined;
      if (trailers === undefined) this.refuseStream(stream);
      else this.endRemote(stream, trailers);
      return;
    }
    const head = tooLarge ? undefined : readResponseHead(section, ended, one.toHead);
    if (head !== undefined && section.secrets !== null) head.neverIndexed = section.secrets;
    if (head !== undefined && one.opens(head.status)) return this.#openTunnel(one, head, ended);
    if (head === undefined || head.status === 101) return this.refuseStream(stream);
    if (head.status < 200) {
      if (ended || ++one.informational > INFORMATIONAL_MAX) this.refuseStream(stream);
      else one.handler?.onInform(head.status, head.headers);
      return;
    }
    if (one.asked === "websocket") restoreRefusedUpgrade(head);
    one.responded = true;
    this.#proven = true;
    const bodiless = one.toHead || head.status === 204 || head.status === 304;
    one.expected = bodiless ? 0 : section.contentLength;
    one.handler?.onResponse(head);
    if (ended && !one.closed) this.endRemote(stream, null);
  }

  /** RFC 8441 §5: 200 is what HTTP/1 calls 101. */
  #openTunnel(stream: Http2ClientStream, head: ResponseHead, ended: boolean): void {
    stream.responded = true;
    stream.openTunnel();
    stream.expected = -1;
    const status = stream.asked === "websocket" ? 101 : head.status;
    stream.handler?.onResponse({ status, headers: head.headers, bodyLength: BODY_LENGTH_UNKNOWN });
    if (ended && !stream.closed) this.endRemote(stream, null);
  }

  /** Streams above the last one were not looked at (§6.8): they may go to another connection. */
  protected override onGoAway(lastStreamId: number): void {
    this.#retired = true;
    this.#owner.onGone(this);
    for (const stream of this.streams.all()) {
      if (stream.id <= lastStreamId) continue;
      this.forget(stream);
      stream.onReset("refused", false);
    }
    this.onStreamsChanged();
  }

  protected override onStreamsChanged(): void {
    if (!this.isBusy) {
      if (this.#retired) return this.fail(ErrorCode.NoError, "http2.retired");
      this.rest();
    }
    if (this.capacity > 0) this.#owner.onCapacity(this);
    // The peer lowered its limit: whoever holds the connection for a free one must not.
    else if (this.pooled) this.#owner.onGone(this);
  }

  /** Every request that was open hears of it. */
  protected override onBroken(): void {}

  protected override onGone(): void {
    this.#keepalive.stop();
    this.#owner.onGone(this);
    for (const upgrade of this.#awaited) upgrade.refuse("closed");
    this.#awaited.clear();
  }
}

class Http2ClientStream extends Http2Stream implements ClientStream {
  readonly #client: Http2ClientConnection;
  handler: ClientHandler | null;
  readonly toHead: boolean;
  readonly asked: TunnelRequest | null;
  responded = false;
  informational = 0;

  constructor(
    connection: Http2ClientConnection,
    id: number,
    sendWindow: number,
    handler: ClientHandler,
    head: RequestHead,
    ended: boolean,
  ) {
    super(connection, id, sendWindow);
    this.#client = connection;
    this.handler = handler;
    // It was us who asked: a server that resets what it does not want is no flood.
    this.answered = true;
    this.toHead = head.method === "HEAD";
    this.asked = head.tunnel ?? null;
    this.remaining = ended || this.asked !== null ? -1 : head.bodyLength;
  }

  /** Whether this status grants the tunnel that was asked for. */
  opens(status: number): boolean {
    return opensTunnel(this.asked, this.asked === "websocket" && status === 200 ? 101 : status);
  }

  reset(): void {
    this.handler = null;
    this.#client.abandon(this);
  }

  pauseResponse(): void {
    this.pause();
  }

  resumeResponse(): void {
    this.resume();
  }

  override onData(chunk: Uint8Array): void {
    if (!this.responded) {
      // §8.1: a body without a head is no message.
      this.connection.resetStream(this, ErrorCode.ProtocolError);
      this.onReset("protocol-error");
      return;
    }
    this.handler?.onResponseBody(chunk);
  }

  override onEnd(trailers: HeaderList | null): void {
    const { handler } = this;
    this.handler = null;
    if (!this.responded) {
      this.connection.resetStream(this, ErrorCode.ProtocolError);
      handler?.onUpstreamReset("protocol-error", true);
      return;
    }
    if (this.tunnelling) {
      this.handler = handler;
      handler?.onResponseEnd(trailers);
      return;
    }
    handler?.onResponseEnd(trailers);
    // The answer is whole and we have more to say: nobody wants to hear it.
    if (!this.localEnded) this.connection.resetStream(this, ErrorCode.NoError);
  }

  override onReset(reason: ResetReason, processed = true): void {
    const { handler } = this;
    this.handler = null;
    const heard = this.responded || this.informational > 0;
    const unseen = reason === "closed" && !heard && this.#client.brokeOff;
    handler?.onUpstreamReset(reason, processed && !unseen);
  }

  override onWritable(): void {
    this.handler?.onUpstreamWritable();
  }

  override onDeadline(): void {
    if (this.lingering) return this.connection.resetStream(this, ErrorCode.Cancel);
    // Otherwise the client is slow, and its own connection has a timeout for that.
    const asked = this.localEnded || this.isHeldUp;
    const upstreamsTurn = this.asked !== null || (asked && !this.isPaused);
    if (upstreamsTurn) super.onDeadline();
    else this.connection.touch(this);
  }
}
