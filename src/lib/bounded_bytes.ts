/** Bytes that come in pieces and are wanted as a whole, up to a limit. */
export class BoundedBytes {
  readonly #max: number;
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  /** `max`: bytes of all pieces together. */
  constructor(max: number) {
    this.#max = max;
  }

  /** False: with this piece they are more than the limit, and what came before it is all that there will be. */
  add(piece: Uint8Array): boolean {
    if (this.#length + piece.length > this.#max) return false;
    this.#length += piece.length;
    this.#pieces.push(piece);
    return true;
  }

  joined(): Buffer<ArrayBuffer> {
    return Buffer.concat(this.#pieces, this.#length);
  }

  /** As UTF-8, with a replacement character for what is none. */
  text(): string {
    return new TextDecoder().decode(this.joined());
  }
}
