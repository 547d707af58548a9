/**
 * What both ends of an HTTP/2 connection share (RFC 9113 §3–6): reading frames, header blocks, settings, windows, and
 * the guard against floods. Everything written in one turn of the event loop leaves in one write.
 */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import type { Wire, WireOwner } from "../../runtime/socket.ts";
import type { HeaderList, ResetReason } from "../exchange.ts";
import { IDLE_TIMEOUT_MS, STREAM_IDLE_TIMEOUT_MS } from "../http1/limits.ts";
import { ByteWriter } from "../io/byte_writer.ts";
import { calm, ConnectionError, frameSizeError, protocolError } from "./connection_error.ts";
import { FloodGuard } from "./flood_guard.ts";
import {
  DEFAULT_WINDOW_BYTES,
  ErrorCode,
  Flag,
  FrameType,
  readUint31,
  readUint32,
  WINDOW_BYTES_MAX,
} from "./frames.ts";
import { type Frame, FrameReader } from "./frame_reader.ts";
import { FrameWriter } from "./frame_writer.ts";
import { HeaderBlock } from "./header_block.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import {
  CONNECTION_WINDOW_BYTES,
  CONTROL_FRAMES_WAITING_MAX,
  FIELDS_MAX,
  HEADER_LIST_BYTES_MAX,
  PSEUDO_FIELDS_MAX,
} from "./limits.ts";
import { applySetting, OWN_SETTINGS, type PeerSettingsTarget } from "./peer_settings.ts";
import { ReceiveWindow } from "./receive_window.ts";
import { RecentStreams } from "./recent_streams.ts";
import { SendWindows } from "./send_windows.ts";
import type { Http2Stream } from "./stream.ts";

/** A header block must be whole this long after its first frame. */
const BLOCK_TIMEOUT_MS = 10_000;

/** A peer that was told good-bye gets this long to take the last bytes. */
const ENDING_TIMEOUT_MS = 10_000;

export abstract class Http2Connection implements WireOwner, Timed, PeerSettingsTarget {
  deadlineMs = 0;
  wheelTick = 0;
  protected readonly wire: Wire;
  protected readonly wheel: TimerWheel;
  protected readonly writer: ByteWriter;
  readonly frames: FrameWriter;
  readonly windows: SendWindows;
  readonly streams = new Map<number, Http2Stream>();
  protected readonly guard = new FloodGuard();
  readonly encoder = new HpackEncoder();
  protected closed = false;
  /** The peer's limit on streams that we open. */
  protected peerStreamsMax = Infinity;
  readonly #decoder = new HpackDecoder();
  readonly #reader = new FrameReader();
  #settingsSeen = false;
  readonly #block = new HeaderBlock();
  readonly #receiveWindow = new ReceiveWindow(CONNECTION_WINDOW_BYTES);
  readonly #recent = new RecentStreams();
  #controlWaiting = 0;
  /** GOAWAY is said, and the socket has yet to take the last bytes. */
  #ending = false;

  constructor(wire: Wire, wheel: TimerWheel) {
    this.wire = wire;
    this.wheel = wheel;
    this.writer = new ByteWriter(wire, () => this.#onRoom(), "turn");
    this.frames = new FrameWriter(this.writer);
    this.windows = new SendWindows(this.frames, () => this.writer.hasRoom);
  }

  /** A header block of a stream that the connection does not have: a new one, or one that is over. */
  protected abstract onNewStream(id: number, list: HeaderList, ended: boolean, tooLarge: boolean): void;
  /** A further header block of a stream: a response, or trailers. */
  protected abstract onHeaders(
    stream: Http2Stream,
    list: HeaderList,
    ended: boolean,
    tooLarge: boolean,
  ): void;
  protected abstract onGoAway(lastStreamId: number, code: number): void;
  /** True for an identifier that neither side has used yet. */
  protected abstract isIdle(id: number): boolean;
  /** Streams came or went, or the peer changed its limit. */
  protected abstract onStreamsChanged(): void;
  /** The connection is gone. */
  protected abstract onGone(): void;

  // From the wire.

  onData(chunk: Buffer): void {
    if (this.closed) return;
    this.#reader.push(chunk);
    if (!this.readPreface(this.#reader)) return;
    while (!this.closed) {
      const frame = this.#reader.next();
      if (frame === null) return;
      if (frame === "tooLarge") return this.fail(ErrorCode.FrameSizeError, "http2.frame_too_large");
      const error = this.#frame(frame);
      if (error !== null) return this.fail(error.code, error.details);
    }
  }

  onDrain(): void {
    this.writer.onDrain();
    if (this.writer.unsent > 0) return;
    this.#controlWaiting = 0;
    if (this.#ending) this.close("closed");
  }

  onEnd(): void {
    this.close("closed");
  }

  onClose(): void {
    this.close("closed");
  }

  onDeadline(): void {
    if (this.#ending) this.close("timeout");
    else if (this.#block.streamId !== 0) this.fail(ErrorCode.EnhanceYourCalm, "http2.header_block_timeout");
    else if (this.streams.size === 0) this.fail(ErrorCode.NoError, "http2.idle");
    else this.wheel.set(this, IDLE_TIMEOUT_MS);
  }

  /** False while the frames have not begun. */
  protected readPreface(_reader: FrameReader): boolean {
    return true;
  }

  // Frames.

  #frame(frame: Frame): ConnectionError | null {
    if (!this.#settingsSeen) {
      if (frame.type !== FrameType.Settings || frame.has(Flag.Ack)) {
        return protocolError("http2.no_settings_first");
      }
      this.#settingsSeen = true;
    }
    const open = this.#block.streamId;
    if (open !== 0 && (frame.type !== FrameType.Continuation || frame.streamId !== open)) {
      return protocolError("http2.interrupted_header_block");
    }
    switch (frame.type) {
      case FrameType.Data:
        return this.#data(frame);
      case FrameType.Headers:
        return this.#headers(frame);
      case FrameType.Continuation:
        return this.#continuation(frame);
      case FrameType.Priority:
        return this.#priority(frame);
      case FrameType.RstStream:
        return this.#rstStream(frame);
      case FrameType.Settings:
        return this.#settings(frame);
      case FrameType.PushPromise:
        // We told the peer not to (§8.4); a client must not anyway.
        return protocolError("http2.push_promise");
      case FrameType.Ping:
        return this.#ping(frame);
      case FrameType.GoAway:
        if (frame.streamId !== 0) return protocolError("http2.goaway_on_stream");
        if (frame.content.length < 8) return frameSizeError("http2.goaway_size");
        this.onGoAway(readUint31(frame.content, 0), readUint32(frame.content, 4));
        return null;
      case FrameType.WindowUpdate:
        return this.#windowUpdate(frame);
      default:
        // §5.5: unknown types are ignored, but not without end.
        return this.guard.control() ? calm("http2.unknown_frames") : null;
    }
  }

  #data(frame: Frame): ConnectionError | null {
    const { streamId: id, content: { length: size } } = frame;
    if (id === 0) return protocolError("http2.data_on_connection");
    if (!this.#receiveWindow.take(size)) {
      return new ConnectionError(ErrorCode.FlowControlError, "http2.connection_window");
    }
    // At once, whether the stream is read or not: one slow reader must not hold up the others.
    this.creditWindow(0, this.#receiveWindow);
    if (!frame.unpad()) return protocolError("http2.padding");
    const stream = this.streams.get(id);
    if (stream === undefined) return this.#strayMessage(id);
    if (stream.remoteEnded) return this.#breakStream(stream, ErrorCode.StreamClosed);
    if (!stream.receiveWindow.take(size)) return this.#breakStream(stream, ErrorCode.FlowControlError);
    const { content } = frame;
    const ended = frame.has(Flag.EndStream);
    if (content.length === 0 && !ended) return this.guard.emptyData() ? calm("http2.empty_data") : null;
    this.guard.useful();
    if (stream.expected >= 0) {
      stream.expected -= content.length;
      if (stream.expected < 0 || (ended && stream.expected > 0)) {
        return this.#breakStream(stream, ErrorCode.ProtocolError);
      }
    }
    this.touch(stream);
    if (content.length > 0) stream.onData(content);
    if (ended) this.#endRemote(stream, null);
    else stream.credit();
    return null;
  }

  #headers(frame: Frame): ConnectionError | null {
    const { streamId: id } = frame;
    if (id === 0) return protocolError("http2.headers_on_connection");
    if (!frame.unpad()) return protocolError("http2.padding");
    if (frame.has(Flag.Priority)) {
      if (frame.content.length < 5) return frameSizeError("http2.priority_size");
      // RFC 9113 dropped priorities; a stream that depends on itself was and is nonsense (RFC 7540 §5.3.1).
      if (readUint31(frame.content, 0) === id) return protocolError("http2.self_dependency");
      frame.content = frame.content.subarray(5);
    }
    this.guard.useful();
    if (frame.has(Flag.EndHeaders)) return this.#headerBlock(id, frame.flags, frame.content);
    this.#block.begin(frame);
    this.wheel.set(this, BLOCK_TIMEOUT_MS);
    return null;
  }

  #continuation(frame: Frame): ConnectionError | null {
    if (this.#block.streamId === 0) return protocolError("http2.stray_continuation");
    if (!this.#block.add(frame)) return calm("http2.header_block_too_large");
    if (!frame.has(Flag.EndHeaders)) return null;
    this.wheel.set(this, IDLE_TIMEOUT_MS);
    return this.#headerBlock(frame.streamId, this.#block.flags, this.#block.finish());
  }

  /** A whole header block. It must be decoded whatever becomes of it: the table depends on it. */
  #headerBlock(id: number, flags: number, block: Buffer): ConnectionError | null {
    const list: HeaderList = [];
    const outcome = this.#decoder.decode(block, list, HEADER_LIST_BYTES_MAX, FIELDS_MAX + PSEUDO_FIELDS_MAX);
    if (outcome === "malformed") return new ConnectionError(ErrorCode.CompressionError, "http2.compression");
    const ended = (flags & Flag.EndStream) !== 0;
    const tooLarge = outcome === "tooLarge";
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (!this.isIdle(id)) return this.#strayMessage(id);
      this.onNewStream(id, list, ended, tooLarge);
      return null;
    }
    if (stream.remoteEnded) return this.#breakStream(stream, ErrorCode.StreamClosed);
    this.touch(stream);
    this.onHeaders(stream, list, ended, tooLarge);
    return null;
  }

  #priority({ streamId: id, content }: Frame): ConnectionError | null {
    if (id === 0) return protocolError("http2.priority_on_connection");
    if (content.length !== 5) {
      this.frames.rstStream(id, ErrorCode.FrameSizeError);
      return null;
    }
    if (readUint31(content, 0) === id) {
      this.frames.rstStream(id, ErrorCode.ProtocolError);
      return this.guard.stray() ? calm("http2.stray_frames") : null;
    }
    return this.guard.priority() ? calm("http2.priority_flood") : null;
  }

  #rstStream({ streamId: id, content }: Frame): ConnectionError | null {
    if (content.length !== 4) return frameSizeError("http2.rst_size");
    if (id === 0 || this.isIdle(id)) return protocolError("http2.rst_on_idle");
    const stream = this.streams.get(id);
    if (stream === undefined) return this.#stray(id);
    if (!stream.localEnded && this.guard.prematureReset()) return calm("http2.rapid_reset");
    this.forget(stream);
    stream.onReset("closed", readUint32(content, 0) !== ErrorCode.RefusedStream);
    return null;
  }

  #settings(frame: Frame): ConnectionError | null {
    const { streamId, content } = frame;
    if (streamId !== 0) return protocolError("http2.settings_on_stream");
    if (frame.has(Flag.Ack)) return content.length === 0 ? null : frameSizeError("http2.settings_ack_size");
    if (content.length % 6 !== 0) return frameSizeError("http2.settings_size");
    for (let at = 0; at < content.length; at += 6) {
      const error = applySetting(content.readUInt16BE(at), readUint32(content, at + 2), this);
      if (error !== null) return error;
    }
    this.frames.settingsAck();
    // After the answer: what goes out from here on obeys the new values.
    this.windows.flush();
    return this.#answered("http2.settings_flood");
  }

  #ping(frame: Frame): ConnectionError | null {
    if (frame.streamId !== 0) return protocolError("http2.ping_on_stream");
    if (frame.content.length !== 8) return frameSizeError("http2.ping_size");
    if (frame.has(Flag.Ack)) return null;
    this.frames.pingAck(frame.content);
    return this.#answered("http2.ping_flood");
  }

  #windowUpdate({ streamId: id, content }: Frame): ConnectionError | null {
    if (content.length !== 4) return frameSizeError("http2.window_update_size");
    const increment = readUint31(content, 0);
    if (this.guard.windowUpdate()) return calm("http2.window_update_flood");
    if (id === 0) {
      if (increment === 0) return protocolError("http2.window_update_zero");
      if (!this.windows.grow(increment)) {
        return new ConnectionError(ErrorCode.FlowControlError, "http2.connection_window_overflow");
      }
      this.windows.flush();
      return null;
    }
    if (this.isIdle(id)) return protocolError("http2.window_update_on_idle");
    const stream = this.streams.get(id);
    if (stream === undefined) return this.#stray(id);
    if (increment === 0) return this.#breakStream(stream, ErrorCode.ProtocolError);
    stream.sendWindow += increment;
    if (stream.sendWindow > WINDOW_BYTES_MAX) return this.#breakStream(stream, ErrorCode.FlowControlError);
    if (this.windows.isBlocked(stream)) this.windows.flush();
    return null;
  }

  /** A part of a message for a stream that is over: forgiven when the peer cannot have known (§5.1). */
  #strayMessage(id: number): ConnectionError | null {
    if (this.isIdle(id)) return protocolError("http2.frame_on_idle_stream");
    const ending = this.#recent.get(id);
    if (ending === "reset") return this.#stray(id);
    return ending === "ended"
      ? new ConnectionError(ErrorCode.StreamClosed, "http2.frame_on_closed_stream")
      : protocolError("http2.stream_identifier");
  }

  /** Any other frame for a stream that is over. */
  #stray(id: number): ConnectionError | null {
    if (this.isIdle(id)) return protocolError("http2.frame_on_idle_stream");
    return this.guard.stray() ? calm("http2.stray_frames") : null;
  }

  #answered(flood: string): ConnectionError | null {
    // A peer that does not read lets the answers pile up.
    if (this.writer.unsent > 0 && ++this.#controlWaiting > CONTROL_FRAMES_WAITING_MAX) return calm(flood);
    return this.guard.control() ? calm(flood) : null;
  }

  // Streams.

  setStreamsMax(streams: number): void {
    this.peerStreamsMax = streams;
    this.onStreamsChanged();
  }

  protected open(stream: Http2Stream): void {
    this.guard.streamsOpened++;
    this.streams.set(stream.id, stream);
    this.touch(stream);
  }

  protected touch(stream: Http2Stream): void {
    this.wheel.set(stream, STREAM_IDLE_TIMEOUT_MS);
  }

  /** The peer's half is over. */
  #endRemote(stream: Http2Stream, trailers: HeaderList | null): void {
    stream.remoteEnded = true;
    stream.onEnd(trailers);
    if (stream.localEnded) this.#finish(stream);
  }

  /** Trailers, or the end of a message without a body. */
  protected endRemote(stream: Http2Stream, trailers: HeaderList | null): void {
    if (stream.expected > 0) this.#breakStream(stream, ErrorCode.ProtocolError);
    else this.#endRemote(stream, trailers);
  }

  /** Our half is over. */
  endLocal(stream: Http2Stream): void {
    stream.localEnded = true;
    if (stream.remoteEnded) this.#finish(stream);
  }

  #finish(stream: Http2Stream): void {
    this.guard.completed();
    this.forget(stream);
  }

  /** Tells the peer that the stream is broken off. */
  resetStream(stream: Http2Stream, code: ErrorCode): void {
    if (stream.closed) return;
    this.frames.rstStream(stream.id, code);
    this.forget(stream);
    this.#recent.add(stream.id, "reset");
  }

  /** The peer broke the rules of one stream. */
  #breakStream(stream: Http2Stream, code: ErrorCode): null {
    this.resetStream(stream, code);
    stream.onReset("protocol-error", true);
    return null;
  }

  protected refuseStream(stream: Http2Stream): void {
    this.#breakStream(stream, ErrorCode.ProtocolError);
  }

  protected forget(stream: Http2Stream): void {
    if (stream.closed) return;
    stream.closed = true;
    stream.dropPending();
    this.wheel.clear(stream);
    this.streams.delete(stream.id);
    this.#recent.add(stream.id, "ended");
    this.windows.forget(stream);
    if (!this.closed) this.onStreamsChanged();
  }

  // Sending.

  /** The first frame of each end, and a larger window for the connection. */
  protected sendSettings(...more: readonly (readonly [number, number])[]): void {
    this.frames.settings([...more, ...OWN_SETTINGS]);
    this.frames.windowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
  }

  /** Fields that were begun with `encoder.begin()`. */
  protected sendBlock(id: number, ended: boolean): void {
    this.frames.headers(id, this.encoder.finish(), ended);
  }

  sendTrailers(stream: Http2Stream, trailers: HeaderList): void {
    this.encoder.begin();
    for (let i = 0; i < trailers.length; i += 2) {
      this.encoder.field(trailers[i] as string, trailers[i + 1] as string);
    }
    this.sendBlock(stream.id, true);
  }

  /** As SendWindows.send(). */
  sendData(stream: Http2Stream, chunk: Uint8Array, from: number, last: boolean): number {
    const sent = this.windows.send(stream, chunk, from, last);
    if (sent > 0) {
      this.guard.dataSent++;
      this.touch(stream);
    }
    return sent;
  }

  /** The socket takes more. */
  get hasRoom(): boolean {
    return this.writer.hasRoom;
  }

  #onRoom(): void {
    this.#controlWaiting = 0;
    this.windows.flush();
  }

  creditWindow(id: number, window: ReceiveWindow): void {
    const bytes = window.credit();
    if (bytes > 0) this.frames.windowUpdate(id, bytes);
  }

  // Endings.

  /** GOAWAY with the reason, then the end of the connection; what was said before it still goes out. */
  fail(code: ErrorCode, details: string): void {
    if (this.closed || this.#ending) return;
    this.frames.goAway(this.lastPeerStreamId, code);
    this.writer.flush();
    if (code !== ErrorCode.NoError) this.onBroken(details);
    else if (this.writer.unsent > 0) {
      this.#ending = true;
      this.wheel.set(this, ENDING_TIMEOUT_MS);
      return;
    }
    this.close(code === ErrorCode.NoError ? "closed" : "protocol-error");
  }

  /** The peer broke the rules; the connection is about to end. */
  protected abstract onBroken(details: string): void;

  /** The last stream of the peer's that was looked at. */
  protected abstract get lastPeerStreamId(): number;

  /** Ends everything now. */
  protected close(reason: ResetReason): void {
    if (this.closed) return;
    this.closed = true;
    this.wheel.clear(this);
    const open = [...this.streams.values()];
    for (const stream of open) this.forget(stream);
    this.writer.close();
    this.wire.end();
    this.onGone();
    for (const stream of open) stream.onReset(reason, true);
  }
}
