/** Finds the head of a message in the bytes of a connection, however they were split, within the limit. */
import { readLatin1 } from "../../lib/latin1.ts";
import { isMostOfItsBuffer } from "../io/kept_share.ts";
import { REQUEST_LINE_BYTES_MAX } from "./limits.ts";
import { lineTooLong, MALFORMED, type Malformed } from "./malformed.ts";

const HEAD_END = Buffer.from("\r\n\r\n");

export class HeadBuffer {
  /** Bytes of a head, first line and fields with their line ends. */
  readonly #bytesMax: number;
  /** What came of a head that is not whole yet. */
  #partial: Buffer | null = null;
  /** After `take` returned a text: where in which bytes the rest begins. */
  rest: Buffer | null = null;
  restFrom = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get isEmpty(): boolean {
    return this.#partial === null;
  }

  /** Of a head that is not whole yet, behind whatever empty lines came; null: nothing has come. */
  get firstOctet(): number | null {
    return this.#partial?.[0] ?? null;
  }

  clear(): void {
    this.#partial = null;
    this.rest = null;
  }

  /**
   * The head as Latin-1 text, every line with its CRLF and without the empty line, or null while it is not whole.
   * Empty lines before it are passed over (RFC 9112 §2.2).
   */
  take(chunk: Buffer, from: number): string | Malformed | null {
    let bytes = chunk;
    let searchFrom = from;
    if (this.#partial !== null) {
      searchFrom = Math.max(0, this.#partial.length - 3);
      bytes = Buffer.concat([this.#partial, from === 0 ? chunk : chunk.subarray(from)]);
      from = 0;
      this.#partial = null;
    }
    while (bytes[from] === 0x0d && bytes[from + 1] === 0x0a) {
      from += 2;
      searchFrom = Math.max(searchFrom, from);
    }
    if (from >= bytes.length) return null;
    const end = bytes.indexOf(HEAD_END, searchFrom);
    if (end < 0) {
      // One byte more may be the carriage return of the empty line.
      if (bytes.length - from > this.#bytesMax + 1) return tooLarge(bytes, from);
      // A peer that ends lines with bare LF would wait for ever.
      if (hasBareLineFeed(bytes, from, searchFrom)) return MALFORMED.bareLineFeed;
      const partial = from === 0 ? bytes : bytes.subarray(from);
      this.#partial = isMostOfItsBuffer(partial) ? partial : Buffer.from(partial);
      return null;
    }
    if (end + 2 - from > this.#bytesMax) return tooLarge(bytes, from);
    this.rest = bytes;
    this.restFrom = end + 4;
    return readLatin1(bytes, from, end + 2);
  }
}

function tooLarge(bytes: Buffer, from: number): Malformed {
  const lineEnd = bytes.indexOf("\r\n", from);
  if (lineEnd >= 0 && lineEnd - from <= REQUEST_LINE_BYTES_MAX) return MALFORMED.headTooLarge;
  return lineTooLong(readLatin1(bytes, from, Math.min(bytes.length, from + REQUEST_LINE_BYTES_MAX)));
}

/** A line feed without its carriage return: some peers end lines there, so nobody may. */
function hasBareLineFeed(bytes: Buffer, from: number, searchFrom: number): boolean {
  for (let at = bytes.indexOf(0x0a, searchFrom); at >= 0; at = bytes.indexOf(0x0a, at + 1)) {
    if (at === from || bytes[at - 1] !== 0x0d) return true;
  }
  return false;
}
