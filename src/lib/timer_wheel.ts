/**
 * Deadlines for many objects at the price of few timers: one tick for all. Moving a deadline is one assignment;
 * the wheel looks again when the object comes round.
 */
import type { Clock } from "./clock.ts";

/** Something with a deadline on the wheel's clock (`Clock.monotonic`, milliseconds); 0: none for now. */
export interface Timed {
  deadlineMs: number;
  /** True while the wheel holds the object; the wheel's own mark. */
  onWheel: boolean;
  onDeadline(): void;
}

/** Deadlines are kept to within this much, never early. */
export const WHEEL_TICK_MS = 100;

const SLOTS = 512;

export class TimerWheel {
  readonly #clock: Clock;
  readonly #slots: Timed[][] = Array.from({ length: SLOTS }, () => []);
  #held = 0;
  #tick = 0;
  #ticking = false;
  /** Time as of the last tick or refresh: cheap, and good to a tick. */
  #nowMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#nowMs = clock.monotonic();
  }

  /** Sets the deadline to `ms` from now and takes the object onto the wheel if it is not there yet. */
  set(timed: Timed, ms: number): void {
    if (!this.#ticking) this.#start();
    timed.deadlineMs = this.#nowMs + ms + WHEEL_TICK_MS;
    if (!timed.onWheel) this.#place(timed);
  }

  /** No deadline for now; the object leaves the wheel when it next comes round. */
  clear(timed: Timed): void {
    timed.deadlineMs = 0;
  }

  /** How many objects the wheel holds. */
  get size(): number {
    return this.#held;
  }

  #place(timed: Timed): void {
    const ticks = Math.max(1, Math.ceil((timed.deadlineMs - this.#nowMs) / WHEEL_TICK_MS));
    const slot = (this.#tick + Math.min(ticks, SLOTS - 1)) % SLOTS;
    (this.#slots[slot] as Timed[]).push(timed);
    timed.onWheel = true;
    this.#held++;
  }

  #start(): void {
    this.#ticking = true;
    this.#nowMs = this.#clock.monotonic();
    this.#clock.after(WHEEL_TICK_MS, this.#advance);
  }

  readonly #advance = (): void => {
    const target = this.#clock.monotonic();
    // A stalled process catches up slot by slot, a full round at most.
    let steps = Math.min(SLOTS, Math.max(1, Math.floor((target - this.#nowMs) / WHEEL_TICK_MS)));
    this.#nowMs = target;
    for (; steps > 0; steps--) {
      this.#tick = (this.#tick + 1) % SLOTS;
      const due = this.#slots[this.#tick] as Timed[];
      if (due.length === 0) continue;
      this.#slots[this.#tick] = [];
      for (const timed of due) this.#visit(timed);
    }
    if (this.#held > 0) this.#clock.after(WHEEL_TICK_MS, this.#advance);
    else this.#ticking = false;
  };

  #visit(timed: Timed): void {
    this.#held--;
    timed.onWheel = false;
    if (timed.deadlineMs === 0) return;
    if (timed.deadlineMs > this.#nowMs) {
      this.#place(timed);
      return;
    }
    timed.deadlineMs = 0;
    timed.onDeadline();
  }
}
