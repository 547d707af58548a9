/** Streams that ended not long ago: what tells a frame that was on its way from one that should not be (RFC 9113 §5.1). */
import { RECENT_RESETS_MAX } from "./limits.ts";

/** How a stream ended: `reset` by us, so that the peer may not have known yet, or `ended` for both. */
export type StreamEnding = "reset" | "ended";

export class RecentStreams {
  readonly #endedMax: number;
  /** The last streams that ended well, in a ring: that is what most do, and nearly nobody asks for them afterwards. */
  readonly #ended: number[] = [];
  #endedAt = 0;
  /** Oldest first. Apart from the others, so that streams which end well do not push out those that were reset. */
  readonly #reset = new Set<number>();
  /** Highest reset stream that had to be forgotten: up to it, an unknown stream may be one that we reset. */
  #resetsForgotten = 0;

  /** `endedMax`: ended streams to remember, to tell a late frame from a wrong one: as many as may be open. */
  constructor(endedMax: number) {
    this.#endedMax = endedMax;
  }

  add(id: number, ending: StreamEnding): void {
    if (ending === "ended") {
      this.#ended[this.#endedAt] = id;
      this.#endedAt = (this.#endedAt + 1) % this.#endedMax;
      return;
    }
    const ended = this.#ended.indexOf(id);
    if (ended >= 0) this.#ended[ended] = 0;
    this.#reset.add(id);
    if (this.#reset.size > RECENT_RESETS_MAX) {
      const [oldest] = this.#reset as unknown as [number];
      this.#reset.delete(oldest);
      this.#resetsForgotten = Math.max(this.#resetsForgotten, oldest);
    }
  }

  /** The peer has reset it as well: nothing of it can have been on its way. */
  onPeerReset(id: number): void {
    if (this.#reset.delete(id)) this.add(id, "ended");
  }

  /** Undefined: it ended long ago, or never was. */
  get(id: number): StreamEnding | undefined {
    if (this.#reset.has(id)) return "reset";
    if (this.#ended.includes(id)) return "ended";
    return id <= this.#resetsForgotten ? "reset" : undefined;
  }
}
