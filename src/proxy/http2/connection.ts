/**
 * What each frame means to either end of an HTTP/2 connection (RFC 9113 §6), in which state of its stream, and when there
 * are too many of them.
 */
import { partOf } from "../../lib/bytes.ts";
import { calm, ConnectionError, frameSizeError, protocolError } from "./connection_error.ts";
import { FieldSection } from "./field_section.ts";
import type { Frame } from "./frame_reader.ts";
import { ErrorCode, Flag, FrameType, readUint32, WINDOW_BYTES_MAX } from "./frames.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { CONTROL_FRAMES_WAITING_MAX } from "./limits.ts";
import { applySetting } from "./peer_settings.ts";
import { Http2Streams } from "./streams.ts";
import type { Http2Stream } from "./stream.ts";

export abstract class Http2Connection extends Http2Streams {
  readonly #decoder = new HpackDecoder();
  /** What the last header block said. */
  readonly #section = new FieldSection();
  #controlWaiting = 0;

  /** A header block of a stream that the connection does not have: a new one, or one that is over. */
  protected abstract onNewStream(id: number, section: FieldSection, ended: boolean, tooLarge: boolean): void;
  /** A further header block of a stream: a response, or trailers. */
  protected abstract onHeaders(
    stream: Http2Stream,
    section: FieldSection,
    ended: boolean,
    tooLarge: boolean,
  ): void;
  protected abstract onGoAway(lastStreamId: number, code: number): void;
  /** The peer's settings have changed, or come for the first time. */
  protected onSettings(): void {}
  /** The answer to a PING of ours. */
  protected onPingAck(): void {}
  /** True for an identifier that neither side has used yet. */
  protected abstract isIdle(id: number): boolean;

  // Frames.

  protected override onFrame(frame: Frame): ConnectionError | null {
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
        this.onGoAway(frame.uint31(0), frame.uint32(4));
        return null;
      case FrameType.WindowUpdate:
        return this.#windowUpdate(frame);
      default:
        // §5.5: unknown types are ignored, but not without end.
        return this.#control("http2.unknown_frames");
    }
  }

  #data(frame: Frame): ConnectionError | null {
    const { streamId: id, length: size } = frame;
    if (!this.receiveWindow.take(size)) {
      return new ConnectionError(ErrorCode.FlowControlError, "http2.connection_window");
    }
    // At once, whether the stream is read or not: one slow reader must not hold up the others. What they may leave unread
    // is bounded by their own windows, see creditStream().
    this.creditWindow(0, this.receiveWindow);
    if (!frame.unpad()) return protocolError("http2.padding");
    const stream = this.streams.get(id);
    if (stream === undefined) {
      // A body that we refused may be on its way in any number of pieces: its windows are limit enough.
      return frame.length > 0 && this.recent.get(id) === "reset" ? null : this.#strayMessage(id);
    }
    if (stream.remoteEnded) return this.breakStream(stream, ErrorCode.StreamClosed);
    const { length } = frame;
    const ended = frame.has(Flag.EndStream);
    if (!stream.takes(size, ended)) return this.breakStream(stream, ErrorCode.FlowControlError);
    if (length === 0 && !ended) return this.guard.emptyData() ? calm("http2.empty_data") : null;
    this.guard.useful();
    if (stream.expected >= 0) {
      stream.expected -= length;
      if (stream.expected < 0 || (ended && stream.expected > 0)) {
        return this.breakStream(stream, ErrorCode.ProtocolError);
      }
    }
    this.touch(stream);
    if (length > 0) stream.onData(partOf(frame.bytes, frame.from, frame.to));
    if (ended) this.endRemoteHalf(stream, null);
    else stream.credit();
    return null;
  }

  #headers(frame: Frame): ConnectionError | null {
    const { streamId: id } = frame;
    if (!frame.unpad()) return protocolError("http2.padding");
    if (frame.has(Flag.Priority)) {
      if (frame.length < 5) return frameSizeError("http2.priority_size");
      // RFC 9113 dropped priorities; a stream that depends on itself was and is nonsense (RFC 7540 §5.3.1).
      if (frame.uint31(0) === id) return protocolError("http2.self_dependency");
      frame.from += 5;
    }
    this.guard.useful();
    if (frame.has(Flag.EndHeaders)) {
      return this.#headerBlock(id, frame.flags, frame.bytes, frame.from, frame.to);
    }
    this.block.begin(frame);
    return null;
  }

  #continuation(frame: Frame): ConnectionError | null {
    if (this.block.streamId === 0) return protocolError("http2.stray_continuation");
    if (!this.block.add(frame)) return calm("http2.header_block_too_large");
    if (!frame.has(Flag.EndHeaders)) return null;
    const whole = this.block.finish();
    return this.#headerBlock(frame.streamId, this.block.flags, whole, 0, whole.length);
  }

  /** A whole header block. It must be decoded whatever becomes of it: the table depends on it. */
  #headerBlock(id: number, flags: number, bytes: Buffer, from: number, to: number): ConnectionError | null {
    this.block.done++;
    const section = this.#section;
    section.begin();
    const outcome = this.#decoder.decode(bytes, section, this.heads.bytes, this.heads.count, from, to);
    if (outcome === "malformed") return new ConnectionError(ErrorCode.CompressionError, "http2.compression");
    const ended = (flags & Flag.EndStream) !== 0;
    const tooLarge = outcome === "tooLarge";
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (!this.isIdle(id)) return this.#strayMessage(id);
      this.onNewStream(id, section, ended, tooLarge);
      return null;
    }
    if (stream.remoteEnded) return this.breakStream(stream, ErrorCode.StreamClosed);
    this.touch(stream);
    this.onHeaders(stream, section, ended, tooLarge);
    return null;
  }

  #priority(frame: Frame): ConnectionError | null {
    const { streamId: id } = frame;
    if (frame.length !== 5) return this.#breakAny(id, frameSizeError("http2.priority_size"));
    if (frame.uint31(0) === id) return this.#breakAny(id, protocolError("http2.self_dependency"));
    return this.guard.priority() ? calm("http2.priority_flood") : null;
  }

  #rstStream(frame: Frame): ConnectionError | null {
    const { streamId: id } = frame;
    if (id === 0 || this.isIdle(id)) return protocolError("http2.rst_on_idle");
    const stream = this.streams.get(id);
    if (stream === undefined) {
      this.recent.onPeerReset(id);
      return this.#stray(id);
    }
    const premature = this.isPremature(stream);
    this.forget(stream);
    const refused = frame.uint32(0) === ErrorCode.RefusedStream;
    stream.onReset(refused ? "refused" : "closed", !refused);
    return premature && this.guard.prematureReset() ? calm("http2.rapid_reset") : null;
  }

  #settings(frame: Frame): ConnectionError | null {
    if (frame.has(Flag.Ack)) return null;
    const { content } = frame;
    for (let at = 0; at < content.length; at += 6) {
      const error = applySetting(content.readUInt16BE(at), readUint32(content, at + 2), this);
      if (error !== null) return error;
    }
    this.frames.settingsAck();
    // After the answer: what goes out from here on obeys the new values.
    this.windows.flush();
    this.onSettings();
    return this.#answered("http2.settings_flood");
  }

  #ping(frame: Frame): ConnectionError | null {
    if (frame.has(Flag.Ack)) {
      this.onPingAck();
      return null;
    }
    this.frames.pingAck(frame.content);
    return this.#answered("http2.ping_flood");
  }

  #windowUpdate(frame: Frame): ConnectionError | null {
    const { streamId: id } = frame;
    const increment = frame.uint31(0);
    if (this.guard.windowUpdate(this.frames.dataSent)) return calm("http2.window_update_flood");
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
    if (increment === 0) return this.breakStream(stream, ErrorCode.ProtocolError);
    stream.sendWindow += increment;
    if (stream.sendWindow > WINDOW_BYTES_MAX) return this.breakStream(stream, ErrorCode.FlowControlError);
    if (this.windows.isBlocked(stream)) this.windows.flush();
    return null;
  }

  /** A part of a message for a stream that is over: forgiven when the peer cannot have known (§5.1). */
  #strayMessage(id: number): ConnectionError | null {
    if (this.isIdle(id)) return protocolError("http2.frame_on_idle_stream");
    const ending = this.recent.get(id);
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
    if (!this.writer.hasRoom && ++this.#controlWaiting > CONTROL_FRAMES_WAITING_MAX) return calm(flood);
    return this.#control(flood);
  }

  #control(flood: string): ConnectionError | null {
    return this.guard.control(this.frames.dataSent, this.wheel.clock.monotonic()) ? calm(flood) : null;
  }

  /** An error of one stream, which there may not be: a stream that is idle cannot be reset (§6.4). */
  #breakAny(id: number, error: ConnectionError): ConnectionError | null {
    const stream = this.streams.get(id);
    if (stream !== undefined) return this.breakStream(stream, error.code);
    if (this.isIdle(id)) return error;
    this.frames.rstStream(id, error.code);
    return this.#stray(id);
  }

  protected override onRoom(): void {
    this.#controlWaiting = 0;
    super.onRoom();
  }
}
