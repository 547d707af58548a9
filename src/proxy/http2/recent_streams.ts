/** Streams that ended not long ago: what tells a frame that was on its way from one that should not be (RFC 9113 §5.1). */
import { RECENT_RESETS_MAX, RECENT_STREAMS_MAX } from "./limits.ts";

/** How a stream ended: `reset` by us, so that the peer may not have known yet, or `ended` by both. */
export type StreamEnding = "reset" | "ended";

export class RecentStreams {
  /** Oldest first. Apart from each other, so that streams which end well do not push out those that were reset. */
  readonly #ended = new Set<number>();
  readonly #reset = new Set<number>();
  /** Highest reset stream that had to be forgotten: up to it, an unknown stream may be one that we reset. */
  #resetsForgotten = 0;

  add(id: number, ending: StreamEnding): void {
    if (ending === "ended") {
      this.#ended.add(id);
      if (this.#ended.size > RECENT_STREAMS_MAX) takeOldest(this.#ended);
      return;
    }
    this.#ended.delete(id);
    this.#reset.add(id);
    if (this.#reset.size > RECENT_RESETS_MAX) {
      this.#resetsForgotten = Math.max(this.#resetsForgotten, takeOldest(this.#reset));
    }
  }

  /** Undefined: it ended long ago, or never was. */
  get(id: number): StreamEnding | undefined {
    if (this.#reset.has(id)) return "reset";
    if (this.#ended.has(id)) return "ended";
    return id <= this.#resetsForgotten ? "reset" : undefined;
  }
}

function takeOldest(ids: Set<number>): number {
  const [oldest] = ids as unknown as [number];
  ids.delete(oldest);
  return oldest;
}
