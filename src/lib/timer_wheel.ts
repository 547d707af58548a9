/**
 * Deadlines for many objects at the price of few timers: one tick for all. Moving a deadline on is one assignment;
 * the wheel looks again when the object comes round.
 */
import type { Clock } from "./clock.ts";

/** Something with a deadline. Both numbers are the wheel's own marks, and begin with 0. */
export interface Timed {
  /** On the wheel's time, milliseconds; 0: none for now. */
  deadlineMs: number;
  /** The tick at which the wheel looks at the object; 0: it does not hold it. */
  wheelTick: number;
  onDeadline(): void;
}

export const WHEEL_TICK_MS = 100;

/** Deadlines are kept to within this much, never early. */
export const WHEEL_LATENESS_MS = 4 * WHEEL_TICK_MS;

/** A tick that comes later than this found the process at a standstill. */
const STANDSTILL_MS = 2 * WHEEL_TICK_MS;

/** An object whose deadline was cleared is held until it comes round: 12.8 s at most. */
const SLOTS = 128;

export class TimerWheel {
  readonly #clock: Clock;
  readonly #slots: Timed[][] = Array.from({ length: SLOTS }, () => []);
  #held = 0;
  #tick = 1;
  #ticking = false;
  /**
   * The wheel's time, as of the last tick. Time in which the process itself stood still does not count: nobody could
   * have been heard in it.
   */
  #nowMs = WHEEL_TICK_MS;
  #tickedAtMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sets the deadline to `ms` from now and takes the object onto the wheel if it is not there yet. */
  set(timed: Timed, ms: number): void {
    if (!this.#ticking) this.#start();
    // The wheel's time is that of the last tick; what has passed since must not make the deadline early.
    const deadlineMs = this.#nowMs + ms + STANDSTILL_MS;
    timed.deadlineMs = deadlineMs;
    if (timed.wheelTick === 0 || deadlineMs <= (timed.wheelTick - 1) * WHEEL_TICK_MS) this.#place(timed);
  }

  /** No deadline for now; the object leaves the wheel when it next comes round. */
  clear(timed: Timed): void {
    timed.deadlineMs = 0;
  }

  /** How many entries the wheel holds. */
  get size(): number {
    return this.#held;
  }

  #place(timed: Timed): void {
    const due = Math.ceil(timed.deadlineMs / WHEEL_TICK_MS);
    const tick = Math.min(Math.max(due, this.#tick + 1), this.#tick + SLOTS - 1);
    (this.#slots[tick % SLOTS] as Timed[]).push(timed);
    timed.wheelTick = tick;
    this.#held++;
  }

  #start(): void {
    this.#ticking = true;
    this.#tickedAtMs = this.#clock.monotonic();
    this.#clock.after(WHEEL_TICK_MS, this.#advance);
  }

  readonly #advance = (): void => {
    const atMs = this.#clock.monotonic();
    this.#nowMs += Math.min(atMs - this.#tickedAtMs, STANDSTILL_MS);
    this.#tickedAtMs = atMs;
    while ((this.#tick + 1) * WHEEL_TICK_MS <= this.#nowMs) {
      this.#tick++;
      const slot = this.#tick % SLOTS;
      const due = this.#slots[slot] as Timed[];
      if (due.length === 0) continue;
      this.#slots[slot] = [];
      this.#held -= due.length;
      for (const timed of due) this.#visit(timed);
    }
    if (this.#held > 0) this.#clock.after(WHEEL_TICK_MS, this.#advance);
    else this.#ticking = false;
  };

  #visit(timed: Timed): void {
    // It was placed again for an earlier tick; this entry is what was left behind.
    if (timed.wheelTick !== this.#tick) return;
    timed.wheelTick = 0;
    if (timed.deadlineMs === 0) return;
    if (timed.deadlineMs > this.#nowMs) {
      this.#place(timed);
      return;
    }
    timed.deadlineMs = 0;
    timed.onDeadline();
  }
}
