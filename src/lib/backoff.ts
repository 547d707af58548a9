/** Exponential back-off with full jitter: waits that grow, and that many who failed together do not share. */
import type { Random } from "./prng.ts";

export interface BackoffOptions {
  /** Longest first wait, milliseconds. */
  readonly baseMs: number;
  /** Longest wait of all, milliseconds. */
  readonly maxMs: number;
  readonly random: Random;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #attempts = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Milliseconds to wait before the next attempt: between half of the current limit and all of it. */
  next(): number {
    const { baseMs, maxMs, random } = this.#options;
    const limitMs = Math.min(maxMs, baseMs * 2 ** Math.min(this.#attempts++, 30));
    return Math.round(limitMs * (0.5 + random.float() / 2));
  }

  /** To be called when an attempt worked: the next wait is short again. */
  reset(): void {
    this.#attempts = 0;
  }
}
