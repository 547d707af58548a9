/**
 * Counts the messages of one direction of a gRPC call as their bytes pass by: each has a prefix of five bytes, a flag and
 * the length of what follows (gRPC over HTTP/2, "Length-Prefixed-Message"). Nothing is kept of them.
 */

const PREFIX_BYTES = 5;

/**
 * The messages in a chunk that begins and ends with whole ones, as nearly all do; -1: the last one goes on. A call of
 * which every chunk is so needs no counter.
 */
export function wholeMessages(chunk: Uint8Array): number {
  let messages = 0;
  let at = 0;
  while (at + PREFIX_BYTES <= chunk.length) {
    // Four octets as one number would be signed: those of 2 GiB and more are not whole in any chunk.
    const length = ((chunk[at + 1] as number) << 24) | ((chunk[at + 2] as number) << 16) |
      ((chunk[at + 3] as number) << 8) | (chunk[at + 4] as number);
    if (length < 0) return -1;
    at += PREFIX_BYTES + length;
    messages++;
  }
  return at === chunk.length ? messages : -1;
}

export class GrpcMessageCounter {
  /** Bytes of the prefix that are still to come; 0 within a message. */
  #prefixLeft = PREFIX_BYTES;
  /** Bytes of the message that are still to come; while the prefix lasts, what is known of its length. */
  #left = 0;

  /** The number of messages that are whole with this chunk. */
  count(chunk: Uint8Array): number {
    let messages = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#prefixLeft > 0) {
        // The first byte of the prefix is the flag, and no part of the length.
        const byte = chunk[at++] as number;
        if (--this.#prefixLeft < PREFIX_BYTES - 1) this.#left = this.#left * 256 + byte;
        if (this.#prefixLeft > 0) continue;
      } else {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
      }
      if (this.#left > 0) continue;
      messages++;
      this.#prefixLeft = PREFIX_BYTES;
    }
    return messages;
  }
}
