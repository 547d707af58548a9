/** What the peer may still send, of a connection or of a stream (RFC 9113 §5.2): given back in halves, not in crumbs. */
export class ReceiveWindow {
  /** How many may be on their way unread. */
  bytes: number;
  /** How many of them came by `grow`. */
  grown = 0;
  #left: number;
  #uncredited = 0;

  constructor(bytes: number) {
    this.bytes = bytes;
    this.#left = bytes;
  }

  /** Bytes came; false: more than the window allowed. */
  take(bytes: number): boolean {
    this.#left -= bytes;
    this.#uncredited += bytes;
    return this.#left >= 0;
  }

  /** Widens it; the peer is to hear of it. */
  grow(bytes: number): void {
    this.bytes += bytes;
    this.grown += bytes;
    this.#left += bytes;
  }

  /** What to give back now, because what came has been passed on; 0: not yet. */
  credit(): number {
    if (this.#uncredited < this.bytes / 2) return 0;
    const credit = this.#uncredited;
    this.#left += credit;
    this.#uncredited = 0;
    return credit;
  }
}
