/**
 * Metrics for whoever asks at once. To write them takes milliseconds in which the proxy does nothing else, and a client may
 * ask a thousand times in one piece: all who ask within a turn of the event loop, or while others are told, get one text.
 */
import { afterTurn } from "../lib/turn.ts";

export class SharedScrape {
  readonly #write: () => Promise<string>;
  #latest: Promise<unknown> = Promise.resolve();
  /** Not begun yet: it will say what is true after the question. */
  #next: Promise<string> | null = null;

  constructor(write: () => Promise<string>) {
    this.#write = write;
  }

  text(): Promise<string> {
    return this.#next ??= this.#latest.then(() => new Promise<void>(afterTurn)).then(() => {
      this.#next = null;
      const text = this.#write();
      this.#latest = text.catch(() => {});
      return text;
    });
  }
}
