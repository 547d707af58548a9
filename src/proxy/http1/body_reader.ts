/** Message bodies of HTTP/1 (RFC 9112 §6, §7): by length, in chunks, or until the connection closes. */
import { partOf } from "../../lib/bytes.ts";
import type { HeaderList } from "../exchange.ts";
import { valueByte } from "../message_syntax.ts";
import { Fields, parseFields } from "./fields.ts";
import { CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX } from "./limits.ts";

export interface BodySink {
  onBody(chunk: Uint8Array): void;
  onBodyEnd(trailers: HeaderList | null): void;
}

enum Mode {
  Done,
  Length,
  UntilClose,
  ChunkSize,
  ChunkExtensions,
  ChunkSizeEnd,
  ChunkData,
  ChunkDataCr,
  ChunkDataLf,
  Trailer,
}

/**
 * What may stand between a chunk's size and the end of its line (RFC 9112 §7.1.1). Nobody needs extensions, and they are
 * dropped, but what is none is where readers disagree about the end of the line.
 */
const EXTENSIONS =
  /^(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~\w]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~\w]+|"(?:[^"\\]|\\.)*"))?)+$/;

/** One per connection, started anew for each message. */
export class BodyReader {
  readonly #sink: BodySink;
  #mode = Mode.Done;
  /** Bytes that the body, or the chunk, still has. */
  #remaining = 0;
  /** Of the size line so far. */
  #lineBytes = 0;
  #digits = 0;
  #extensions = "";
  #trailer = "";

  constructor(sink: BodySink) {
    this.#sink = sink;
  }

  /** True between messages. */
  get done(): boolean {
    return this.#mode === Mode.Done;
  }

  /** Bytes that are still to come; for a body that tells no length, Infinity. */
  get remaining(): number {
    if (this.#mode === Mode.Done) return 0;
    return this.#mode === Mode.Length ? this.#remaining : Number.POSITIVE_INFINITY;
  }

  startLength(bytes: number): void {
    this.#mode = Mode.Length;
    this.#remaining = bytes;
  }

  startChunked(): void {
    this.#mode = Mode.ChunkSize;
    this.#beginChunk();
  }

  startUntilClose(): void {
    this.#mode = Mode.UntilClose;
  }

  /** The peer closed: a body that lasts until then is whole. False: it was cut off. */
  finish(): boolean {
    if (this.#mode !== Mode.UntilClose) return this.#mode === Mode.Done;
    this.#mode = Mode.Done;
    this.#sink.onBodyEnd(null);
    return true;
  }

  /** Reads from `from` on and returns where the message ended or the chunk did; -1: malformed. */
  read(chunk: Buffer, from: number): number {
    let position = from;
    const length = chunk.length;
    while (position < length && this.#mode !== Mode.Done) {
      switch (this.#mode) {
        case Mode.Length:
        case Mode.ChunkData: {
          const take = Math.min(this.#remaining, length - position);
          this.#remaining -= take;
          const piece = take === length ? chunk : partOf(chunk, position, position + take);
          position += take;
          const whole = this.#remaining === 0;
          if (whole) this.#mode = this.#mode === Mode.Length ? Mode.Done : Mode.ChunkDataCr;
          this.#sink.onBody(piece);
          if (whole && this.#mode === Mode.Done) this.#sink.onBodyEnd(null);
          break;
        }
        case Mode.UntilClose:
          this.#sink.onBody(position === 0 ? chunk : chunk.subarray(position));
          return length;
        case Mode.Trailer:
          position = this.#readTrailer(chunk, position);
          if (position < 0) return -1;
          break;
        default:
          if (!this.#readChunkByte(chunk[position++] as number)) return -1;
      }
    }
    return position;
  }

  #beginChunk(): void {
    this.#remaining = 0;
    this.#lineBytes = 0;
    this.#digits = 0;
  }

  #readChunkByte(byte: number): boolean {
    switch (this.#mode) {
      case Mode.ChunkSize: {
        const digit = hexDigit(byte);
        if (digit >= 0) {
          this.#lineBytes++;
          // 13 digits stay exact in a double; no chunk is larger.
          if (++this.#digits > 13) return false;
          this.#remaining = this.#remaining * 16 + digit;
          return true;
        }
        return this.#digits > 0 && this.#readAfterSize(byte);
      }
      case Mode.ChunkExtensions:
        if (byte === 0x0d) {
          this.#mode = Mode.ChunkSizeEnd;
          return EXTENSIONS.test(this.#extensions);
        }
        return this.#addToExtensions(byte);
      case Mode.ChunkSizeEnd:
        if (byte !== 0x0a) return false;
        this.#trailer = "";
        this.#mode = this.#remaining === 0 ? Mode.Trailer : Mode.ChunkData;
        return true;
      case Mode.ChunkDataCr:
        this.#mode = Mode.ChunkDataLf;
        return byte === 0x0d;
      case Mode.ChunkDataLf:
        this.#mode = Mode.ChunkSize;
        this.#beginChunk();
        return byte === 0x0a;
      default:
        return false;
    }
  }

  /** The end of the size line, or extensions, or the whitespace that may come before one. */
  #readAfterSize(byte: number): boolean {
    if (byte === 0x0d) {
      this.#mode = Mode.ChunkSizeEnd;
      return true;
    }
    this.#mode = Mode.ChunkExtensions;
    this.#extensions = "";
    return (byte === 0x3b || byte === 0x20 || byte === 0x09) && this.#addToExtensions(byte);
  }

  #addToExtensions(byte: number): boolean {
    this.#extensions += String.fromCharCode(byte);
    return valueByte[byte] === 1 && ++this.#lineBytes <= CHUNK_LINE_BYTES_MAX;
  }

  /** Gathers the trailer section up to its empty line. */
  #readTrailer(chunk: Buffer, from: number): number {
    const room = TRAILER_BYTES_MAX + 2 - this.#trailer.length;
    const before = this.#trailer.length;
    this.#trailer += chunk.toString("latin1", from, Math.min(chunk.length, from + room));
    const end = this.#trailer.startsWith("\r\n")
      ? 0
      : this.#trailer.indexOf("\r\n\r\n", Math.max(0, before - 3)) + 2;
    if (end === 1) {
      if (this.#trailer.length >= TRAILER_BYTES_MAX + 2 || hasBareLineFeed(this.#trailer)) return -1;
      return chunk.length;
    }
    const trailers = parseTrailers(this.#trailer.slice(0, end));
    if (trailers === undefined) return -1;
    this.#mode = Mode.Done;
    this.#sink.onBodyEnd(trailers);
    return from + end + 2 - before;
  }
}

/** Undefined: malformed, or a field that must not come after the body (RFC 9110 §6.5.1). */
function parseTrailers(text: string): HeaderList | null | undefined {
  if (text === "") return null;
  const fields = new Fields();
  if (parseFields(text, 0, fields, TRAILER_FIELDS_MAX) !== null) return undefined;
  if (fields.host !== null || fields.chunked || fields.contentLength >= 0) return undefined;
  return fields.headers;
}

/** A line feed without its carriage return: some peers end lines there, so nobody may. */
function hasBareLineFeed(text: string): boolean {
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    if (text.charCodeAt(at - 1) !== 0x0d) return true;
  }
  return false;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
