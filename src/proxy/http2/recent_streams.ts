/** Streams that ended not long ago: what tells a frame that was on its way from one that should not be (RFC 9113 §5.1). */
import { RECENT_STREAMS_MAX } from "./limits.ts";

/** How a stream ended: `reset` by us, so that the peer may not have known yet, or `ended` by both. */
export type StreamEnding = "reset" | "ended";

export class RecentStreams {
  /** Oldest first. */
  readonly #endings = new Map<number, StreamEnding>();

  add(id: number, ending: StreamEnding): void {
    this.#endings.set(id, ending);
    if (this.#endings.size <= RECENT_STREAMS_MAX) return;
    for (const oldest of this.#endings.keys()) {
      this.#endings.delete(oldest);
      return;
    }
  }

  /** Undefined: it ended long ago, or never was. */
  get(id: number): StreamEnding | undefined {
    return this.#endings.get(id);
  }
}
