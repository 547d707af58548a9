/** Keeps the calls that end, for a while and up to a limit, when somebody watches; costs one look at a flag otherwise. */
import type { Clock } from "../lib/clock.ts";
import { TAPPED_CALLS_MAX, type TappedCall, type TapReport } from "../model/tap.ts";

export class Tap {
  /** Somebody watches. */
  active = false;
  readonly #clock: Clock;
  #calls: TappedCall[] = [];
  #omitted = 0;
  #cancel: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keeps calls from now on, for so long unless it is opened again. */
  open(leaseMs: number): void {
    this.#cancel();
    this.active = true;
    this.#cancel = this.#clock.after(leaseMs, () => {
      this.active = false;
      this.take();
    });
  }

  record(call: TappedCall): void {
    if (this.#calls.length < TAPPED_CALLS_MAX) this.#calls.push(call);
    else this.#omitted++;
  }

  /** Adds what another process of the same proxy kept. */
  absorb({ calls, omitted }: TapReport): void {
    if (!this.active) return;
    for (const call of calls) this.record(call);
    this.#omitted += omitted;
  }

  /** What was kept since the last time. */
  take(): TapReport {
    const report = { calls: this.#calls, omitted: this.#omitted };
    this.#calls = [];
    this.#omitted = 0;
    return report;
  }
}

export const NOTHING_TAPPED: TapReport = { calls: [], omitted: 0 };
