/** Warnings that strangers can cause as often as they like: one of a kind goes to the log, the rest are counted. */
import type { Clock } from "../lib/clock.ts";

/** The log has at most one line of each kind of warning in this time. */
export const WARNING_INTERVAL_MS = 10_000;

interface Kind {
  saidAtMs: number;
  heldBack: number;
}

export class LimitedWarnings<Name extends string> {
  readonly #clock: Clock;
  readonly #warn: (message: string) => void;
  readonly #kinds = new Map<Name, Kind>();

  constructor(clock: Clock, warn: (message: string) => void) {
    this.#clock = clock;
    this.#warn = warn;
  }

  /** Says it, with how many of the kind were not said since the last one, or counts it. */
  say(name: Name, message: string): void {
    const nowMs = this.#clock.monotonic();
    const kind = this.#kinds.get(name);
    if (kind !== undefined && nowMs - kind.saidAtMs < WARNING_INTERVAL_MS) {
      kind.heldBack++;
      return;
    }
    this.#kinds.set(name, { saidAtMs: nowMs, heldBack: 0 });
    const more = kind === undefined || kind.heldBack === 0 ? "" : ` (and ${kind.heldBack} more like it)`;
    this.#warn(`${message}${more}`);
  }
}
