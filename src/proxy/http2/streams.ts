/**
 * The streams of an HTTP/2 connection (RFC 9113 §5): how they begin and end, what they may send, and what they may hold
 * that nobody has read.
 */
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import type { Limits } from "../../model/limits.ts";
import type { Wire } from "../../runtime/wire.ts";
import type { HeaderList, ResetReason } from "../exchange.ts";
import { calm, type ConnectionError } from "./connection_error.ts";
import { FloodGuard } from "./flood_guard.ts";
import { DEFAULT_WINDOW_BYTES, ErrorCode } from "./frames.ts";
import { FramedWire } from "./framed_wire.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import { PREMATURE_RESET_AGE_MS } from "./limits.ts";
import { ownSettings, type PeerSettingsTarget } from "./peer_settings.ts";
import { ReceiveWindow } from "./receive_window.ts";
import { RecentStreams } from "./recent_streams.ts";
import { SendWindows } from "./send_windows.ts";
import type { Http2Stream, StreamConnection } from "./stream.ts";
import { StreamTable } from "./stream_table.ts";

/** Of the heads that a peer sends. */
export interface HeadLimits {
  /** Bytes of a decoded header list (SETTINGS_MAX_HEADER_LIST_SIZE); above: 431 or a reset. */
  readonly bytes: number;
  /** Fields of it; above: the same. Pseudo-header fields do not count. */
  readonly count: number;
}

export abstract class Http2Streams extends FramedWire implements PeerSettingsTarget, StreamConnection {
  readonly windows: SendWindows;
  readonly streams = new StreamTable<Http2Stream>();
  protected readonly guard = new FloodGuard();
  readonly encoder = new HpackEncoder();
  /** The peer's limit on streams that we open. */
  protected peerStreamsMax = Infinity;
  readonly enablePushMax: 0 | 1 = 1;
  takesUpgrades = false;
  protected readonly receiveWindow: ReceiveWindow;
  /** What the windows of streams may still grow by. */
  #growthBytes: number;
  protected readonly recent: RecentStreams;
  protected readonly heads: HeadLimits;

  constructor(wire: Wire, wheel: TimerWheel, limits: Limits, heads: HeadLimits) {
    super(wire, wheel, limits, heads.bytes);
    this.heads = heads;
    this.receiveWindow = new ReceiveWindow(limits.http2ConnectionWindowBytes);
    this.#growthBytes = limits.http2ConnectionWindowBytes;
    this.recent = new RecentStreams(limits.http2Streams);
    this.windows = new SendWindows(this.frames, () => this.writer.hasRoom);
  }

  /** Streams came or went, the peer changed its limit, or the socket takes more. */
  protected abstract onStreamsChanged(): void;
  /** The connection is gone. */
  protected abstract onGone(): void;

  override get isBusy(): boolean {
    return this.streams.size > 0;
  }

  setStreamsMax(streams: number): void {
    this.peerStreamsMax = streams;
    this.onStreamsChanged();
  }

  protected open(stream: Http2Stream): void {
    this.guard.streamsOpened++;
    this.streams.add(stream);
    this.#chooseGathering();
    this.touch(stream);
  }

  /** One stream has nobody to share a write with: to wait for the turn's end would cost 2 % of a request. */
  #chooseGathering(): void {
    this.writer.gather = this.streams.size > 1 ? "turn" : "callback";
  }

  touch(stream: Http2Stream): void {
    if (stream.lingering || stream.paced) return;
    const { tunnelIdleMs, streamIdleMs } = this.limits;
    this.wheel.set(stream, stream.tunnelling ? tunnelIdleMs : streamIdleMs);
  }

  /** The peer's half is over. */
  protected endRemoteHalf(stream: Http2Stream, trailers: HeaderList | null): void {
    stream.remoteEnded = true;
    stream.onEnd(trailers);
    if (stream.localEnded) this.#finish(stream);
  }

  /** Trailers, or the end of a message without a body. */
  protected endRemote(stream: Http2Stream, trailers: HeaderList | null): void {
    if (stream.expected > 0) this.refuseStream(stream);
    else this.endRemoteHalf(stream, trailers);
  }

  /** Our half is over. */
  endLocal(stream: Http2Stream): void {
    stream.localEnded = true;
    if (stream.remoteEnded) this.#finish(stream);
    else stream.onLocalEnd();
  }

  #finish(stream: Http2Stream): void {
    // By a handler that was told of the end just now.
    if (stream.closed) return;
    this.guard.completed();
    this.forget(stream);
  }

  /** Tells the peer that the stream is broken off. */
  resetStream(stream: Http2Stream, code: ErrorCode): void {
    if (stream.closed) return;
    this.frames.rstStream(stream.id, code);
    this.forget(stream);
    this.recent.add(stream.id, "reset");
  }

  /** The peer broke the rules of one stream. To be made to reset is no better than to be reset (CVE-2025-8671). */
  protected breakStream(stream: Http2Stream, code: ErrorCode): ConnectionError | null {
    const premature = this.isPremature(stream);
    this.resetStream(stream, code);
    stream.onReset("protocol-error", true);
    return premature && this.guard.prematureReset() ? calm("http2.rapid_reset") : null;
  }

  protected refuseStream(stream: Http2Stream): void {
    const error = this.breakStream(stream, ErrorCode.ProtocolError);
    if (error !== null) this.fail(error.code, error.details);
  }

  /** The stream has not been answered yet, and is young. */
  protected isPremature(stream: Http2Stream): boolean {
    return !stream.answered && !stream.localEnded && this.isYoung(stream);
  }

  /** By the wheel's time, from when something last moved on it. */
  protected isYoung(stream: Http2Stream): boolean {
    const { deadlineMs } = stream;
    this.touch(stream);
    return stream.deadlineMs - deadlineMs < PREMATURE_RESET_AGE_MS;
  }

  protected forget(stream: Http2Stream): void {
    if (stream.closed) return;
    stream.closed = true;
    stream.dropPending();
    this.wheel.clear(stream);
    this.streams.delete(stream);
    this.#chooseGathering();
    this.#growthBytes += stream.windowGrowth;
    this.recent.add(stream.id, "ended");
    this.windows.forget(stream);
    if (!this.closed) this.onStreamsChanged();
  }

  // Sending.

  /** The first frame of each end, and a larger window for the connection. */
  protected sendSettings(...more: readonly (readonly [number, number])[]): void {
    this.frames.settings([...more, ...ownSettings(this.limits, this.heads.bytes)]);
    const growth = this.limits.http2ConnectionWindowBytes - DEFAULT_WINDOW_BYTES;
    // An increment of 0 is an error (§6.9).
    if (growth > 0) this.frames.windowUpdate(0, growth);
  }

  /** Fields that were begun with `encoder.begin()`. */
  protected sendBlock(id: number, ended: boolean): void {
    this.frames.headers(id, this.encoder.bytes, this.encoder.length, ended);
  }

  sendTrailers(stream: Http2Stream, trailers: HeaderList): void {
    this.encoder.begin();
    for (let i = 0; i < trailers.length; i += 2) {
      this.encoder.field(trailers[i] as string, trailers[i + 1] as string);
    }
    this.sendBlock(stream.id, true);
  }

  /** As SendWindows.send(). */
  sendData(stream: Http2Stream, chunk: Uint8Array, most: number, last: boolean): number {
    const sent = this.windows.send(stream, chunk, most, last);
    if (sent > 0) this.touch(stream);
    return sent;
  }

  protected override onRoom(): void {
    this.windows.flush();
    this.onStreamsChanged();
  }

  creditWindow(id: number, window: ReceiveWindow): void {
    const bytes = window.credit();
    if (bytes > 0) this.frames.windowUpdate(id, bytes);
  }

  /** What a peer may send on a new stream. */
  get streamWindowBytes(): number {
    return this.limits.http2StreamWindowBytes;
  }

  /**
   * What came on a stream was read: its peer may send more, and more at once than before. All streams together may
   * hold, unread, their first windows and what this gives: one connection's worth.
   */
  creditStream(id: number, window: ReceiveWindow): void {
    const bytes = window.credit();
    if (bytes === 0) return;
    const growth = Math.min(this.#growthBytes, this.limits.http2StreamBufferBytes - window.bytes);
    if (growth > 0) {
      window.grow(growth);
      this.#growthBytes -= growth;
    }
    this.frames.windowUpdate(id, growth > 0 ? bytes + growth : bytes);
  }

  protected override onClosed(reason: ResetReason): void {
    const open = this.streams.all();
    for (const stream of open) this.forget(stream);
    this.onGone();
    for (const stream of open) stream.onReset(reason, true);
  }
}
