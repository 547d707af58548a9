/** Frames in (RFC 9113 §4.1): cuts what a connection receives into frames, however it was split. */
import { Flag, FRAME_HEADER_BYTES, FrameType, readUint31, readUint32 } from "./frames.ts";
import { FRAME_BYTES_MAX } from "./limits.ts";

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * The frame that was read last; the reader uses the same object for the next one. Most frames are read where they stand:
 * a view of their content costs more than reading it.
 */
export class Frame {
  type = 0;
  flags = 0;
  streamId = 0;
  /** The content is at `from` … `to`. */
  bytes: Buffer = NOTHING;
  from = 0;
  to = 0;

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  get length(): number {
    return this.to - this.from;
  }

  /** A view of the content. */
  get content(): Buffer {
    return this.bytes.subarray(this.from, this.to);
  }

  /** The number in the 31, or 32, bits at this offset of the content. */
  uint31(offset: number): number {
    return readUint31(this.bytes, this.from + offset);
  }

  uint32(offset: number): number {
    return readUint32(this.bytes, this.from + offset);
  }

  /** Takes the padding off (§6.1); false: it does not fit. */
  unpad(): boolean {
    if (!this.has(Flag.Padded)) return true;
    if (this.length === 0) return false;
    const padding = this.bytes[this.from] as number;
    this.from++;
    if (padding > this.length) return false;
    this.to -= padding;
    return true;
  }
}

export class FrameReader {
  readonly #frame = new Frame();
  #bytes: Buffer = NOTHING;
  #position = 0;
  /** The chunk whose beginning completes the frame in `#bytes`: it is read next, from there on. */
  #next: Buffer = NOTHING;
  #nextPosition = 0;

  push(chunk: Buffer): void {
    const at = this.#position;
    this.#position = 0;
    if (at === this.#bytes.length) {
      this.#bytes = chunk;
      return;
    }
    const rest = this.#bytes.subarray(at);
    // What is behind the frame stays where it is: copying it would be most of what a large body costs here.
    const missing = missingOctets(rest, chunk);
    this.#bytes = Buffer.concat([rest, chunk.subarray(0, missing)]);
    if (missing >= chunk.length) return;
    this.#next = chunk;
    this.#nextPosition = missing;
  }

  /** What is left is the beginning of a HEADERS frame. */
  get midHeaders(): boolean {
    const type = this.#position + 3;
    return type < this.#bytes.length && this.#bytes[type] === FrameType.Headers;
  }

  /** The next frame, null while it is not whole, or that it is larger than we take. */
  next(): Frame | null | "tooLarge" {
    if (this.#position === this.#bytes.length && this.#next.length > 0) {
      this.#bytes = this.#next;
      this.#position = this.#nextPosition;
      this.#next = NOTHING;
    }
    const bytes = this.#bytes;
    const at = this.#position;
    if (bytes.length - at < FRAME_HEADER_BYTES) return this.#wait();
    const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) |
      (bytes[at + 2] as number);
    if (length > FRAME_BYTES_MAX) return "tooLarge";
    const from = at + FRAME_HEADER_BYTES;
    const to = from + length;
    if (to > bytes.length) return this.#wait();
    const frame = this.#frame;
    frame.type = bytes[at + 3] as number;
    frame.flags = bytes[at + 4] as number;
    frame.streamId = readUint31(bytes, at + 5);
    frame.bytes = bytes;
    frame.from = from;
    frame.to = to;
    this.#position = to;
    return frame;
  }

  /** Takes exactly these bytes off the front: false, they are not what came; null, not enough came yet. */
  take(expected: Buffer): boolean | null {
    const length = Math.min(this.#bytes.length, expected.length);
    if (this.#bytes.compare(expected, 0, length, 0, length) !== 0) return false;
    if (length < expected.length) return null;
    this.#position = length;
    return true;
  }

  /** No whole frame is left. What is must not keep alive all that came with it: the wait may be long. */
  #wait(): null {
    this.#frame.bytes = NOTHING;
    if (this.#position === 0) return null;
    // Most chunks end with a frame, and an empty view of one costs as much as any other.
    const ends = this.#position === this.#bytes.length;
    this.#bytes = ends ? NOTHING : Buffer.from(this.#bytes.subarray(this.#position));
    this.#position = 0;
    return null;
  }
}

/**
 * How many octets of `chunk` the frame that `rest` begins with still needs: all, where not even its length came yet, or
 * where that is larger than we take, as the preface would be if it were a frame.
 */
function missingOctets(rest: Buffer, chunk: Buffer): number {
  const octet = (at: number) => (at < rest.length ? rest[at] : chunk[at - rest.length]) as number;
  if (rest.length + chunk.length < 3) return chunk.length;
  const length = (octet(0) << 16) | (octet(1) << 8) | octet(2);
  return length > FRAME_BYTES_MAX ? chunk.length : FRAME_HEADER_BYTES + length - rest.length;
}
