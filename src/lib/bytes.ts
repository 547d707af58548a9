/** Parts of buffers that a socket just gave. */

/** A typed array up to this size is made inside the collected heap. */
const COPY_BYTES_MAX = 1_000;

/**
 * The bytes at `from` … `to`, for whoever may keep them. The first view of a fresh buffer makes Bun move all of it out of
 * the collected heap (250 to 500 ns), and keeps all of it alive; a copy of few bytes takes 60 ns. (`Uint8Array`'s own
 * `slice` looks up the species of a Buffer first, and is no quicker than a view.)
 */
export function partOf(bytes: Buffer, from: number, to: number): Uint8Array {
  const length = to - from;
  if (length > COPY_BYTES_MAX) return bytes.subarray(from, to);
  const part = new Uint8Array(length);
  bytes.copy(part, 0, from, to);
  return part;
}
