/**
 * What both ends of an HTTP/2 connection share (RFC 9113 §3–6): reading frames, header blocks, settings, windows, and
 * the guard against floods. Everything written in one turn of the event loop leaves in one write.
 */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import type { Wire, WireOwner } from "../../runtime/socket.ts";
import type { HeaderList, ResetReason } from "../exchange.ts";
import { IDLE_TIMEOUT_MS, STREAM_IDLE_TIMEOUT_MS } from "../http1/limits.ts";
import { ByteWriter } from "../io/byte_writer.ts";
import { ConnectionError } from "./connection_error.ts";
import { FloodGuard } from "./flood_guard.ts";
import {
  DEFAULT_FRAME_BYTES_MAX,
  DEFAULT_WINDOW_BYTES,
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  FrameType,
  readUint31,
  readUint32,
  Setting,
  WINDOW_BYTES_MAX,
} from "./frames.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import {
  CONNECTION_WINDOW_BYTES,
  CONTINUATIONS_MAX,
  CONTROL_FRAMES_WAITING_MAX,
  FIELDS_MAX,
  FRAME_BYTES_MAX,
  HEADER_BLOCK_BYTES_MAX,
  HEADER_LIST_BYTES_MAX,
  PSEUDO_FIELDS_MAX,
  RECENT_STREAMS_MAX,
  STREAM_WINDOW_BYTES,
  STREAMS_MAX,
} from "./limits.ts";
import type { Http2Stream } from "./stream.ts";

/** A header block must be whole this long after its first frame. */
const BLOCK_TIMEOUT_MS = 10_000;

const header = new Uint8Array(FRAME_HEADER_BYTES);
const payload = new Uint8Array(8);

export abstract class Http2Connection implements WireOwner, Timed {
  deadlineMs = 0;
  wheelTick = 0;
  protected readonly wire: Wire;
  protected readonly wheel: TimerWheel;
  protected readonly writer: ByteWriter;
  protected readonly streams = new Map<number, Http2Stream>();
  protected readonly guard = new FloodGuard();
  protected readonly encoder = new HpackEncoder();
  protected closed = false;
  /** The peer's limit on streams that we open. */
  protected peerStreamsMax = Infinity;
  readonly #decoder = new HpackDecoder();
  #partial: Buffer | null = null;
  #settingsSeen = false;
  // The header block in progress:
  #blockStream = 0;
  #blockFlags = 0;
  #blockPieces: Buffer[] = [];
  #blockBytes = 0;
  #continuations = 0;
  // Windows:
  #sendWindow = DEFAULT_WINDOW_BYTES;
  #peerInitialWindow = DEFAULT_WINDOW_BYTES;
  #peerFrameBytesMax = DEFAULT_FRAME_BYTES_MAX;
  #receiveWindow = CONNECTION_WINDOW_BYTES;
  #uncredited = 0;
  /** Streams that ended not long ago, oldest first: true for those that we reset, on which frames may still come. */
  readonly #recent = new Map<number, boolean>();
  /** Streams with something to send, or a source that waits, in the order of their turn. */
  readonly #blocked = new Set<Http2Stream>();
  #controlWaiting = 0;

  constructor(wire: Wire, wheel: TimerWheel) {
    this.wire = wire;
    this.wheel = wheel;
    this.writer = new ByteWriter(wire, () => this.#onRoom(), "turn");
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
    let bytes = chunk;
    if (this.#partial !== null) {
      bytes = Buffer.concat([this.#partial, chunk]);
      this.#partial = null;
    }
    let position = this.readPreface(bytes);
    if (position < 0) {
      this.#partial = bytes;
      return;
    }
    while (!this.closed && bytes.length - position >= FRAME_HEADER_BYTES) {
      const length = ((bytes[position] as number) << 16) | ((bytes[position + 1] as number) << 8) |
        (bytes[position + 2] as number);
      if (length > FRAME_BYTES_MAX) return this.fail(ErrorCode.FrameSizeError, "http2.frame_too_large");
      const end = position + FRAME_HEADER_BYTES + length;
      if (end > bytes.length) break;
      const type = bytes[position + 3] as number;
      const flags = bytes[position + 4] as number;
      const error = this.#frame(
        type,
        flags,
        readUint31(bytes, position + 5),
        bytes,
        position + FRAME_HEADER_BYTES,
        end,
      );
      if (error !== null) return this.fail(error.code, error.details);
      position = end;
    }
    if (!this.closed && position < bytes.length) {
      this.#partial = position === 0 ? bytes : bytes.subarray(position);
    }
  }

  onDrain(): void {
    this.writer.onDrain();
    if (this.writer.unsent === 0) this.#controlWaiting = 0;
  }

  onEnd(): void {
    this.close("closed");
  }

  onClose(): void {
    this.close("closed");
  }

  onDeadline(): void {
    if (this.#blockStream !== 0) this.fail(ErrorCode.EnhanceYourCalm, "http2.header_block_timeout");
    else if (this.streams.size === 0) this.fail(ErrorCode.NoError, "http2.idle");
    else this.wheel.set(this, IDLE_TIMEOUT_MS);
  }

  /** Where the frames begin; -1: not enough of the preface yet. */
  protected readPreface(_bytes: Buffer): number {
    return 0;
  }

  // Frames.

  #frame(
    type: number,
    flags: number,
    id: number,
    bytes: Buffer,
    from: number,
    to: number,
  ): ConnectionError | null {
    if (!this.#settingsSeen) {
      if (type !== FrameType.Settings || (flags & Flag.Ack) !== 0) {
        return protocolError("http2.no_settings_first");
      }
      this.#settingsSeen = true;
    }
    if (this.#blockStream !== 0 && (type !== FrameType.Continuation || id !== this.#blockStream)) {
      return protocolError("http2.interrupted_header_block");
    }
    switch (type) {
      case FrameType.Data:
        return this.#data(flags, id, bytes, from, to);
      case FrameType.Headers:
        return this.#headers(flags, id, bytes, from, to);
      case FrameType.Continuation:
        return this.#continuation(flags, id, bytes, from, to);
      case FrameType.Priority:
        return this.#priority(id, bytes, from, to);
      case FrameType.RstStream:
        return this.#rstStream(id, bytes, from, to);
      case FrameType.Settings:
        return this.#settings(flags, id, bytes, from, to);
      case FrameType.PushPromise:
        // We told the peer not to (§8.4); a client must not anyway.
        return protocolError("http2.push_promise");
      case FrameType.Ping:
        return this.#ping(flags, id, bytes, from, to);
      case FrameType.GoAway:
        if (id !== 0) return protocolError("http2.goaway_on_stream");
        if (to - from < 8) return frameSizeError("http2.goaway_size");
        this.onGoAway(readUint31(bytes, from), readUint32(bytes, from + 4));
        return null;
      case FrameType.WindowUpdate:
        return this.#windowUpdate(id, bytes, from, to);
      default:
        // §5.5: unknown types are ignored, but not without end.
        return this.guard.control() ? calm("http2.unknown_frames") : null;
    }
  }

  #data(flags: number, id: number, bytes: Buffer, from: number, to: number): ConnectionError | null {
    if (id === 0) return protocolError("http2.data_on_connection");
    const size = to - from;
    this.#receiveWindow -= size;
    if (this.#receiveWindow < 0) {
      return new ConnectionError(ErrorCode.FlowControlError, "http2.connection_window");
    }
    this.#creditConnection(size);
    if ((flags & Flag.Padded) !== 0) {
      if (size === 0) return frameSizeError("http2.padding");
      const padding = bytes[from++] as number;
      if (padding > to - from) return protocolError("http2.padding");
      to -= padding;
    }
    const stream = this.streams.get(id);
    const ended = (flags & Flag.EndStream) !== 0;
    if (stream === undefined) return this.#strayMessage(id);
    if (stream.remoteEnded) {
      this.#breakStream(stream, ErrorCode.StreamClosed);
      return null;
    }
    stream.receiveWindow -= size;
    if (stream.receiveWindow < 0) {
      this.#breakStream(stream, ErrorCode.FlowControlError);
      return null;
    }
    const length = to - from;
    if (length === 0 && !ended) return this.guard.emptyData() ? calm("http2.empty_data") : null;
    this.guard.useful();
    if (stream.expected >= 0) {
      stream.expected -= length;
      if (stream.expected < 0 || (ended && stream.expected > 0)) {
        this.#breakStream(stream, ErrorCode.ProtocolError);
        return null;
      }
    }
    this.touch(stream);
    if (length > 0) stream.onData(bytes.subarray(from, to));
    if (ended) this.#endRemote(stream, null);
    else stream.credit(size);
    return null;
  }

  #headers(flags: number, id: number, bytes: Buffer, from: number, to: number): ConnectionError | null {
    if (id === 0) return protocolError("http2.headers_on_connection");
    if ((flags & Flag.Padded) !== 0) {
      if (from === to) return frameSizeError("http2.padding");
      const padding = bytes[from++] as number;
      if (padding > to - from) return protocolError("http2.padding");
      to -= padding;
    }
    if ((flags & Flag.Priority) !== 0) {
      if (to - from < 5) return frameSizeError("http2.priority_size");
      // RFC 9113 dropped priorities; a stream that depends on itself was and is nonsense (RFC 7540 §5.3.1).
      if (readUint31(bytes, from) === id) return protocolError("http2.self_dependency");
      from += 5;
    }
    this.guard.useful();
    if ((flags & Flag.EndHeaders) !== 0) return this.#block(id, flags, bytes.subarray(from, to));
    this.#blockStream = id;
    this.#blockFlags = flags;
    this.#blockPieces = [bytes.subarray(from, to)];
    this.#blockBytes = to - from;
    this.#continuations = 0;
    this.wheel.set(this, BLOCK_TIMEOUT_MS);
    return null;
  }

  #continuation(flags: number, id: number, bytes: Buffer, from: number, to: number): ConnectionError | null {
    if (this.#blockStream === 0) return protocolError("http2.stray_continuation");
    this.#blockBytes += to - from;
    if (++this.#continuations > CONTINUATIONS_MAX || this.#blockBytes > HEADER_BLOCK_BYTES_MAX) {
      return calm("http2.header_block_too_large");
    }
    this.#blockPieces.push(bytes.subarray(from, to));
    if ((flags & Flag.EndHeaders) === 0) return null;
    const block = Buffer.concat(this.#blockPieces);
    this.#blockStream = 0;
    this.#blockPieces = [];
    this.wheel.set(this, IDLE_TIMEOUT_MS);
    return this.#block(id, this.#blockFlags, block);
  }

  /** A whole header block. It must be decoded whatever becomes of it: the table depends on it. */
  #block(id: number, flags: number, block: Buffer): ConnectionError | null {
    const list: HeaderList = [];
    const outcome = this.#decoder.decode(block, list, HEADER_LIST_BYTES_MAX, FIELDS_MAX + PSEUDO_FIELDS_MAX);
    if (outcome === "malformed") return new ConnectionError(ErrorCode.CompressionError, "http2.compression");
    const ended = (flags & Flag.EndStream) !== 0;
    const tooLarge = outcome === "tooLarge";
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (!this.isIdle(id)) return this.#strayMessage(id);
      this.onNewStream(id, list, ended, tooLarge);
    } else if (stream.remoteEnded) {
      this.#breakStream(stream, ErrorCode.StreamClosed);
    } else {
      this.touch(stream);
      this.onHeaders(stream, list, ended, tooLarge);
    }
    return null;
  }

  #priority(id: number, bytes: Buffer, from: number, to: number): ConnectionError | null {
    if (id === 0) return protocolError("http2.priority_on_connection");
    if (to - from !== 5) {
      this.#writeRst(id, ErrorCode.FrameSizeError);
      return null;
    }
    if (readUint31(bytes, from) === id) {
      this.#writeRst(id, ErrorCode.ProtocolError);
      return this.guard.stray() ? calm("http2.stray_frames") : null;
    }
    return this.guard.priority() ? calm("http2.priority_flood") : null;
  }

  #rstStream(id: number, bytes: Buffer, from: number, to: number): ConnectionError | null {
    if (to - from !== 4) return frameSizeError("http2.rst_size");
    if (id === 0 || this.isIdle(id)) return protocolError("http2.rst_on_idle");
    const stream = this.streams.get(id);
    if (stream === undefined) return this.#stray(id);
    const code = readUint32(bytes, from);
    if (!stream.localEnded && this.guard.prematureReset()) return calm("http2.rapid_reset");
    this.forget(stream);
    stream.onReset("closed", code !== ErrorCode.RefusedStream);
    return null;
  }

  #settings(flags: number, id: number, bytes: Buffer, from: number, to: number): ConnectionError | null {
    if (id !== 0) return protocolError("http2.settings_on_stream");
    if ((flags & Flag.Ack) !== 0) return from === to ? null : frameSizeError("http2.settings_ack_size");
    if ((to - from) % 6 !== 0) return frameSizeError("http2.settings_size");
    for (; from < to; from += 6) {
      const error = this.#setting(
        ((bytes[from] as number) << 8) | (bytes[from + 1] as number),
        readUint32(bytes, from + 2),
      );
      if (error !== null) return error;
    }
    this.#writeFrame(FrameType.Settings, Flag.Ack, 0, NOTHING);
    // After the answer: what goes out from here on obeys the new values.
    this.#flushBlocked();
    return this.#answered("http2.settings_flood");
  }

  #setting(name: number, value: number): ConnectionError | null {
    switch (name) {
      case Setting.HeaderTableSize:
        this.encoder.setTableSize(value);
        return null;
      case Setting.EnablePush:
        return value > 1 ? protocolError("http2.enable_push") : null;
      case Setting.MaxConcurrentStreams:
        this.peerStreamsMax = value;
        this.onStreamsChanged();
        return null;
      case Setting.InitialWindowSize: {
        if (value > WINDOW_BYTES_MAX) {
          return new ConnectionError(ErrorCode.FlowControlError, "http2.initial_window");
        }
        const change = value - this.#peerInitialWindow;
        this.#peerInitialWindow = value;
        for (const stream of this.streams.values()) {
          stream.sendWindow += change;
          if (stream.sendWindow > WINDOW_BYTES_MAX) {
            return new ConnectionError(ErrorCode.FlowControlError, "http2.initial_window");
          }
        }
        return null;
      }
      case Setting.MaxFrameSize:
        if (value < DEFAULT_FRAME_BYTES_MAX || value > 0xffffff) return protocolError("http2.max_frame_size");
        this.#peerFrameBytesMax = value;
        return null;
      default:
        return null;
    }
  }

  #ping(flags: number, id: number, bytes: Buffer, from: number, to: number): ConnectionError | null {
    if (id !== 0) return protocolError("http2.ping_on_stream");
    if (to - from !== 8) return frameSizeError("http2.ping_size");
    if ((flags & Flag.Ack) !== 0) return null;
    this.#writeFrame(FrameType.Ping, Flag.Ack, 0, bytes.subarray(from, to));
    return this.#answered("http2.ping_flood");
  }

  #windowUpdate(id: number, bytes: Buffer, from: number, to: number): ConnectionError | null {
    if (to - from !== 4) return frameSizeError("http2.window_update_size");
    const increment = readUint31(bytes, from);
    if (this.guard.windowUpdate()) return calm("http2.window_update_flood");
    if (id === 0) {
      if (increment === 0) return protocolError("http2.window_update_zero");
      this.#sendWindow += increment;
      if (this.#sendWindow > WINDOW_BYTES_MAX) {
        return new ConnectionError(ErrorCode.FlowControlError, "http2.connection_window_overflow");
      }
      this.#flushBlocked();
      return null;
    }
    if (this.isIdle(id)) return protocolError("http2.window_update_on_idle");
    const stream = this.streams.get(id);
    if (stream === undefined) return this.#stray(id);
    if (increment === 0) {
      this.#breakStream(stream, ErrorCode.ProtocolError);
      return null;
    }
    stream.sendWindow += increment;
    if (stream.sendWindow > WINDOW_BYTES_MAX) this.#breakStream(stream, ErrorCode.FlowControlError);
    else if (this.#blocked.has(stream)) this.#flushBlocked();
    return null;
  }

  /** A part of a message for a stream that is over: forgiven when the peer cannot have known (§5.1). */
  #strayMessage(id: number): ConnectionError | null {
    if (this.isIdle(id)) return protocolError("http2.frame_on_idle_stream");
    const wasReset = this.#recent.get(id);
    if (wasReset === true) return this.#stray(id);
    return wasReset === false
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

  protected open(stream: Http2Stream): void {
    this.guard.streamsOpened++;
    this.streams.set(stream.id, stream);
    this.touch(stream);
  }

  protected get initialSendWindow(): number {
    return this.#peerInitialWindow;
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
    this.#writeRst(stream.id, code);
    this.forget(stream);
    this.#recent.set(stream.id, true);
  }

  /** The peer broke the rules of one stream. */
  #breakStream(stream: Http2Stream, code: ErrorCode): void {
    this.resetStream(stream, code);
    stream.onReset("protocol-error", true);
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
    this.#remember(stream.id);
    this.#blocked.delete(stream);
    if (!this.closed) this.onStreamsChanged();
  }

  #remember(id: number): void {
    this.#recent.set(id, false);
    if (this.#recent.size <= RECENT_STREAMS_MAX) return;
    for (const oldest of this.#recent.keys()) {
      this.#recent.delete(oldest);
      return;
    }
  }

  // Sending.

  /** The first frame of each end, and a larger window for the connection. */
  protected sendSettings(settings: readonly (readonly [number, number])[]): void {
    const bytes = new Uint8Array(settings.length * 6);
    const view = new DataView(bytes.buffer);
    settings.forEach(([name, value], i) => {
      view.setUint16(i * 6, name);
      view.setUint32(i * 6 + 2, value);
    });
    this.#writeFrame(FrameType.Settings, 0, 0, bytes);
    this.sendWindowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
  }

  /** Fields that were begun with `encoder.begin()`. */
  protected sendBlock(id: number, ended: boolean): void {
    const block = this.encoder.finish();
    const size = this.#peerFrameBytesMax;
    const flags = (ended ? Flag.EndStream : 0) | (block.length <= size ? Flag.EndHeaders : 0);
    this.#writeFrame(FrameType.Headers, flags, id, copyIfLarge(block.subarray(0, size)));
    for (let from = size; from < block.length; from += size) {
      const last = from + size >= block.length;
      const piece = copyIfLarge(block.subarray(from, from + size));
      this.#writeFrame(FrameType.Continuation, last ? Flag.EndHeaders : 0, id, piece);
    }
  }

  sendTrailers(stream: Http2Stream, trailers: HeaderList): void {
    this.encoder.begin();
    for (let i = 0; i < trailers.length; i += 2) {
      this.encoder.field(trailers[i] as string, trailers[i + 1] as string);
    }
    this.sendBlock(stream.id, true);
  }

  /** Sends bytes from `from` on, as many as the windows allow, and END_STREAM with the last if asked. Returns how many. */
  sendData(stream: Http2Stream, chunk: Uint8Array, from: number, last: boolean): number {
    let position = from;
    do {
      const left = chunk.length - position;
      const size = Math.min(left, this.#sendWindow, stream.sendWindow, this.#peerFrameBytesMax);
      if (size <= 0 && left > 0) break;
      const ended = last && size === left;
      const piece = size === chunk.length ? chunk : chunk.subarray(position, position + size);
      this.#writeFrame(FrameType.Data, ended ? Flag.EndStream : 0, stream.id, piece);
      this.guard.dataSent++;
      this.#sendWindow -= size;
      stream.sendWindow -= size;
      position += size;
      this.touch(stream);
    } while (position < chunk.length && this.hasRoom);
    return position - from;
  }

  sendWindowUpdate(id: number, bytes: number): void {
    writeUint32(payload, bytes);
    this.#writeFrame(FrameType.WindowUpdate, 0, id, payload.subarray(0, 4));
  }

  protected sendGoAway(lastStreamId: number, code: ErrorCode): void {
    const bytes = new Uint8Array(8);
    writeUint32(bytes, lastStreamId);
    writeUint32(bytes.subarray(4), code);
    this.#writeFrame(FrameType.GoAway, 0, 0, bytes);
  }

  /** The socket takes more. */
  get hasRoom(): boolean {
    return this.writer.hasRoom;
  }

  /** The stream has something to send, or its source waits, until windows and socket allow more. */
  block(stream: Http2Stream): void {
    this.#blocked.add(stream);
  }

  #onRoom(): void {
    this.#controlWaiting = 0;
    this.#flushBlocked();
  }

  /** Each blocked stream in turn. */
  #flushBlocked(): void {
    for (const stream of [...this.#blocked]) {
      if (!this.hasRoom) return;
      if (stream.closed || !stream.flushPending()) continue;
      this.#blocked.delete(stream);
      if (stream.full && !stream.closed) {
        stream.full = false;
        stream.onWritable();
      }
    }
  }

  #creditConnection(bytes: number): void {
    this.#uncredited += bytes;
    if (this.#uncredited < CONNECTION_WINDOW_BYTES / 2) return;
    this.#receiveWindow += this.#uncredited;
    this.sendWindowUpdate(0, this.#uncredited);
    this.#uncredited = 0;
  }

  #writeRst(id: number, code: ErrorCode): void {
    writeUint32(payload, code);
    this.#writeFrame(FrameType.RstStream, 0, id, payload.subarray(0, 4));
  }

  #writeFrame(type: number, flags: number, id: number, content: Uint8Array): void {
    const { length } = content;
    header[0] = length >>> 16;
    header[1] = length >>> 8;
    header[2] = length;
    header[3] = type;
    header[4] = flags;
    header[5] = id >>> 24;
    header[6] = id >>> 16;
    header[7] = id >>> 8;
    header[8] = id;
    this.writer.bytes(header);
    if (length > 0) this.writer.bytes(content);
    this.writer.flushSoon();
  }

  // Endings.

  /** GOAWAY with the reason, then the end of the connection. */
  fail(code: ErrorCode, _details: string): void {
    if (this.closed) return;
    this.sendGoAway(this.lastPeerStreamId, code);
    this.writer.flush();
    this.close(code === ErrorCode.NoError ? "closed" : "protocol-error");
  }

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

  /** Common settings of both ends. */
  protected static readonly SETTINGS: readonly (readonly [number, number])[] = [
    [Setting.MaxConcurrentStreams, STREAMS_MAX],
    [Setting.InitialWindowSize, STREAM_WINDOW_BYTES],
    [Setting.MaxHeaderListSize, HEADER_LIST_BYTES_MAX],
  ];
}

const NOTHING = new Uint8Array(0);

/** The writer keeps large pieces as they are, but the encoder's buffer is used again. */
function copyIfLarge(bytes: Buffer): Uint8Array {
  return bytes.length > 1024 ? Buffer.from(bytes) : bytes;
}

function writeUint32(bytes: Uint8Array, value: number): void {
  bytes[0] = value >>> 24;
  bytes[1] = value >>> 16;
  bytes[2] = value >>> 8;
  bytes[3] = value;
}

function protocolError(details: string): ConnectionError {
  return new ConnectionError(ErrorCode.ProtocolError, details);
}

function frameSizeError(details: string): ConnectionError {
  return new ConnectionError(ErrorCode.FrameSizeError, details);
}

function calm(details: string): ConnectionError {
  return new ConnectionError(ErrorCode.EnhanceYourCalm, details);
}
