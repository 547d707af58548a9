/**
 * Bytes of a body that windows or the socket do not let through yet. What waits costs about its own size: small pieces
 * are copied together, and none keeps alive a much larger buffer that it is a part of.
 */

/** A piece from this size on is kept as it is, if it is the better part of its buffer. */
const KEPT_BYTES_MIN = 4 * 1024;
/** The buffer that a piece is a part of may be so many times larger. */
const KEPT_SHARE = 4;
/** Buffers that small pieces are gathered in. */
const GATHER_BYTES = 4 * 1024;

const NOTHING = new Uint8Array(0);

export class PendingBody {
  /** Bytes that wait. */
  bytes = 0;
  readonly #pieces: Uint8Array[] = [];
  /** Where the first piece begins. */
  #from = 0;
  /** The buffer of the last piece, when that is a gathered one with room behind it. */
  #gather: Uint8Array | null = null;

  /** Keeps the piece as it is, to be taken at once. */
  hold(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.#gather = null;
    this.#pieces.push(chunk);
  }

  /** Keeps the piece for as long as it takes. */
  push(chunk: Uint8Array): void {
    if (chunk.length >= KEPT_BYTES_MIN && chunk.length * KEPT_SHARE >= chunk.buffer.byteLength) {
      return this.hold(chunk);
    }
    for (let at = 0; at < chunk.length;) at += this.#copy(chunk.subarray(at));
  }

  /** The first bytes that wait; empty: none do. */
  get first(): Uint8Array {
    const piece = this.#pieces[0];
    return piece === undefined ? NOTHING : this.#from === 0 ? piece : piece.subarray(this.#from);
  }

  /** Takes off the front what went out: no more than `first` is long. */
  drop(bytes: number): void {
    const piece = this.#pieces[0];
    if (piece === undefined) return;
    this.bytes -= bytes;
    this.#from += bytes;
    if (this.#from < piece.length) return;
    if (this.#pieces.length === 1) this.#pieces.pop();
    else this.#pieces.shift();
    this.#from = 0;
    if (this.#pieces.length === 0) this.#gather = null;
  }

  clear(): void {
    // Called for every stream, and nearly always for nothing: setting the length of an array is slow.
    if (this.#pieces.length === 0) return;
    this.bytes = 0;
    this.#pieces.length = 0;
    this.#from = 0;
    this.#gather = null;
  }

  /** How many bytes there was room for. */
  #copy(chunk: Uint8Array): number {
    const gather = this.#gather;
    const piece = gather === null ? NOTHING : this.#pieces[this.#pieces.length - 1] as Uint8Array;
    if (gather === null || piece.length === gather.length) {
      this.#gather = new Uint8Array(GATHER_BYTES);
      this.#pieces.push(this.#gather.subarray(0, 0));
      return this.#copy(chunk);
    }
    const size = Math.min(chunk.length, gather.length - piece.length);
    gather.set(size === chunk.length ? chunk : chunk.subarray(0, size), piece.length);
    this.#pieces[this.#pieces.length - 1] = gather.subarray(0, piece.length + size);
    this.bytes += size;
    return size;
  }
}
