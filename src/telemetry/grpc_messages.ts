/**
 * Counts the messages of one direction of a gRPC call as their bytes pass by: each has a prefix of five bytes, a flag and
 * the length of what follows (gRPC over HTTP/2, "Length-Prefixed-Message"). Nothing is kept of them.
 */

const PREFIX_BYTES = 5;

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
