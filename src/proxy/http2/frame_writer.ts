/** Frames out (RFC 9113 §4.1, §6): each is its nine octets and its content, gathered with all others of the turn. */
import type { ByteWriter } from "../io/byte_writer.ts";
import { DEFAULT_FRAME_BYTES_MAX, type ErrorCode, Flag, FRAME_HEADER_BYTES, FrameType } from "./frames.ts";

const header = new Uint8Array(FRAME_HEADER_BYTES);
const payload = new Uint8Array(4);
/** Of no meaning: any answer will do. */
const PING_OPAQUE = new Uint8Array(8);
const NOTHING = new Uint8Array(0);

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
    const bytes = new Uint8Array(settings.length * 6);
    const view = new DataView(bytes.buffer);
    settings.forEach(([name, value], i) => {
      view.setUint16(i * 6, name);
      view.setUint32(i * 6 + 2, value);
    });
    this.#frame(FrameType.Settings, 0, 0, bytes);
  }

  settingsAck(): void {
    this.#frame(FrameType.Settings, Flag.Ack, 0, NOTHING);
  }

  ping(): void {
    this.#frame(FrameType.Ping, 0, 0, PING_OPAQUE);
  }

  pingAck(opaque: Uint8Array): void {
    this.#frame(FrameType.Ping, Flag.Ack, 0, opaque);
  }

  windowUpdate(id: number, bytes: number): void {
    writeUint32(payload, 0, bytes);
    this.#frame(FrameType.WindowUpdate, 0, id, payload);
  }

  rstStream(id: number, code: ErrorCode): void {
    writeUint32(payload, 0, code);
    this.#frame(FrameType.RstStream, 0, id, payload);
  }

  goAway(lastStreamId: number, code: ErrorCode): void {
    const bytes = new Uint8Array(8);
    writeUint32(bytes, 0, lastStreamId);
    writeUint32(bytes, 4, code);
    this.#frame(FrameType.GoAway, 0, 0, bytes);
  }

  /** A header block in as many frames as it needs. Its bytes may be used again after the call. */
  headers(id: number, block: Buffer, ended: boolean): void {
    const size = this.frameBytesMax;
    const flags = (ended ? Flag.EndStream : 0) | (block.length <= size ? Flag.EndHeaders : 0);
    this.#frame(FrameType.Headers, flags, id, copyIfLarge(block.subarray(0, size)));
    for (let from = size; from < block.length; from += size) {
      const last = from + size >= block.length;
      const piece = copyIfLarge(block.subarray(from, from + size));
      this.#frame(FrameType.Continuation, last ? Flag.EndHeaders : 0, id, piece);
    }
  }

  data(id: number, content: Uint8Array, ended: boolean): void {
    this.dataSent += 1 + (content.length >>> 10);
    this.#frame(FrameType.Data, ended ? Flag.EndStream : 0, id, content);
  }

  #frame(type: number, flags: number, id: number, content: Uint8Array): void {
    const { length } = content;
    header[0] = length >>> 16;
    header[1] = length >>> 8;
    header[2] = length;
    header[3] = type;
    header[4] = flags;
    writeUint32(header, 5, id);
    this.#writer.bytes(header);
    if (length > 0) this.#writer.bytes(content);
    this.#writer.flushSoon();
  }
}

/** The writer keeps large pieces as they are, but the encoder's buffer is used again. */
function copyIfLarge(bytes: Buffer): Uint8Array {
  return bytes.length > 1024 ? Buffer.from(bytes) : bytes;
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
