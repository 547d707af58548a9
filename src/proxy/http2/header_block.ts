/** A header block over its frames: HEADERS, then CONTINUATION until the one that ends it (RFC 9113 §4.3, §6.10). */
import type { Frame } from "./frame_reader.ts";
import { CONTINUATIONS_MAX } from "./limits.ts";

export class HeaderBlock {
  readonly #bytesMax: number;
  /** Stream whose block is not whole yet; 0: none. */
  streamId = 0;
  /** Flags of the HEADERS frame. */
  flags = 0;
  /** Header blocks that came whole, in one frame or several. */
  done = 0;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #continuations = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  begin(frame: Frame): void {
    this.streamId = frame.streamId;
    this.flags = frame.flags;
    this.#pieces = [frame.content];
    this.#bytes = frame.length;
    this.#continuations = 0;
  }

  /** False: the block is larger, or in more pieces, than we take. */
  add(frame: Frame): boolean {
    this.#pieces.push(frame.content);
    this.#bytes += frame.length;
    return ++this.#continuations <= CONTINUATIONS_MAX && this.#bytes <= this.#bytesMax;
  }

  /** The whole block. */
  finish(): Buffer {
    const block = Buffer.concat(this.#pieces);
    this.streamId = 0;
    this.#pieces = [];
    return block;
  }
}
