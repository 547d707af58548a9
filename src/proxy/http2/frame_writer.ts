/** Frames out (RFC 9113 §4.1, §6): each is its nine octets and its content, gathered with all others of the turn. */
import type { ByteWriter } from "../io/byte_writer.ts";
import { DEFAULT_FRAME_BYTES_MAX, type ErrorCode, Flag, FrameType } from "./frames.ts";

export class FrameWriter {
  readonly #writer: ByteWriter;
  /** The peer's SETTINGS_MAX_FRAME_SIZE. */
  frameBytesMax = DEFAULT_FRAME_BYTES_MAX;
  /** DATA frames sent, and KiB in them: what the peer may want to credit in pieces. */
  dataSent = 0;

  constructor(writer: ByteWriter) {
    this.#writer = writer;
  }

  settings(settings: readonly (readonly [number, number])[]): void {
    this.#begin(settings.length * 6, FrameType.Settings, 0, 0);
    for (const [name, value] of settings) {
      this.#writer.uint16(name);
      this.#writer.uint32(value);
    }
  }

  settingsAck(): void {
    this.#begin(0, FrameType.Settings, Flag.Ack, 0);
  }

  ping(): void {
    this.#begin(8, FrameType.Ping, 0, 0);
    // Of no meaning: any answer will do.
    this.#writer.uint32(0);
    this.#writer.uint32(0);
  }

  pingAck(opaque: Uint8Array): void {
    this.#begin(opaque.length, FrameType.Ping, Flag.Ack, 0);
    this.#writer.bytes(opaque);
  }

  windowUpdate(id: number, bytes: number): void {
    this.#begin(4, FrameType.WindowUpdate, 0, id);
    this.#writer.uint32(bytes);
  }

  rstStream(id: number, code: ErrorCode): void {
    this.#begin(4, FrameType.RstStream, 0, id);
    this.#writer.uint32(code);
  }

  goAway(lastStreamId: number, code: ErrorCode): void {
    this.#begin(8, FrameType.GoAway, 0, 0);
    this.#writer.uint32(lastStreamId);
    this.#writer.uint32(code);
  }

  /** The header block at the beginning of `block`, in as many frames as it needs. */
  headers(id: number, block: Buffer, length: number, ended: boolean): void {
    const size = this.frameBytesMax;
    const first = Math.min(length, size);
    const flags = (ended ? Flag.EndStream : 0) | (length <= size ? Flag.EndHeaders : 0);
    this.#begin(first, FrameType.Headers, flags, id);
    this.#writer.copy(block, 0, first);
    for (let from = size; from < length; from += size) {
      const to = Math.min(length, from + size);
      this.#begin(to - from, FrameType.Continuation, to === length ? Flag.EndHeaders : 0, id);
      this.#writer.copy(block, from, to);
    }
  }

  data(id: number, content: Uint8Array, ended: boolean): void {
    const { length } = content;
    this.dataSent += 1 + (length >>> 10);
    this.#begin(length, FrameType.Data, ended ? Flag.EndStream : 0, id);
    if (length > 0) this.#writer.bytes(content);
  }

  /** Writes a frame's nine octets; `length` octets of content are to follow. */
  #begin(length: number, type: number, flags: number, id: number): void {
    this.#writer.uint32(((length << 8) | type) >>> 0);
    this.#writer.octet(flags);
    this.#writer.uint32(id);
    this.#writer.flushSoon();
  }
}
