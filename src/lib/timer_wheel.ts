/**
 * Deadlines for many objects at the price of few timers: one tick for all. Moving a deadline on is one assignment;
 * the wheel looks again when the object comes round.
 */
import type { Clock } from "./clock.ts";

/** Something with a deadline. The numbers are the wheel's own marks, and begin with 0. */
export interface Timed {
  /** On the wheel's time, milliseconds; 0: none for now. */
  deadlineMs: number;
  /** The tick at which the wheel looks at the object; 0: it does not hold it. */
  wheelTick: number;
  /** Where in that tick's slot the object stands. */
  wheelIndex: number;
  onDeadline(): void;
}

/** The time between two looks of the wheel: exact enough for deadlines that nobody waits for, those of connections. */
export const WHEEL_TICK_MS = 100;

/** The wheel calls `onDeadline` at most this much after the deadline, and never before it. */
export const WHEEL_LATENESS_MS = 4 * WHEEL_TICK_MS;

const SLOTS = 128;

export class TimerWheel {
  readonly clock: Clock;
  readonly #tickMs: number;
  /** A tick that comes later than this found the process at a standstill. */
  readonly #standstillMs: number;
  readonly #slots: Timed[][] = Array.from({ length: SLOTS }, () => []);
  #held = 0;
  #tick = 1;
  #ticking = false;
  /**
   * The wheel's time, as of the last tick. Time in which the process itself stood still does not count: nobody could
   * have been heard in it.
   */
  #nowMs: number;
  #tickedAtMs = 0;

  /** Deadlines are kept to within four ticks. */
  constructor(clock: Clock, tickMs = WHEEL_TICK_MS) {
    this.clock = clock;
    this.#tickMs = tickMs;
    this.#standstillMs = 2 * tickMs;
    this.#nowMs = tickMs;
  }

  /** Sets the deadline to `ms` from now and takes the object onto the wheel if it is not there yet. */
  set(timed: Timed, ms: number): void {
    if (!this.#ticking) this.#start();
    // The wheel's time is that of the last tick; what has passed since must not make the deadline early.
    const deadlineMs = this.#nowMs + ms + this.#standstillMs;
    timed.deadlineMs = deadlineMs;
    if (timed.wheelTick !== 0) {
      // A later deadline is seen when the object comes round.
      if (deadlineMs > (timed.wheelTick - 1) * this.#tickMs) return;
      this.#remove(timed);
    }
    this.#place(timed);
  }

  /** No deadline any more. The wheel lets go of the object at once: a busy proxy ends thousands in a second. */
  clear(timed: Timed): void {
    timed.deadlineMs = 0;
    if (timed.wheelTick !== 0) this.#remove(timed);
  }

  /** How many objects the wheel holds. */
  get size(): number {
    return this.#held;
  }

  #place(timed: Timed): void {
    const due = Math.ceil(timed.deadlineMs / this.#tickMs);
    const tick = Math.min(Math.max(due, this.#tick + 1), this.#tick + SLOTS - 1);
    timed.wheelIndex = (this.#slots[tick % SLOTS] as Timed[]).push(timed) - 1;
    timed.wheelTick = tick;
    this.#held++;
  }

  /** The last of the slot takes its place. */
  #remove(timed: Timed): void {
    const slot = this.#slots[timed.wheelTick % SLOTS] as Timed[];
    const last = slot.pop() as Timed;
    if (last !== timed) {
      slot[timed.wheelIndex] = last;
      last.wheelIndex = timed.wheelIndex;
    }
    timed.wheelTick = 0;
    this.#held--;
  }

  #start(): void {
    this.#ticking = true;
    this.#tickedAtMs = this.clock.monotonic();
    this.clock.after(this.#tickMs, this.#advance);
  }

  readonly #advance = (): void => {
    const atMs = this.clock.monotonic();
    this.#nowMs += Math.min(atMs - this.#tickedAtMs, this.#standstillMs);
    this.#tickedAtMs = atMs;
    while ((this.#tick + 1) * this.#tickMs <= this.#nowMs) {
      this.#tick++;
      const slot = this.#tick % SLOTS;
      const due = this.#slots[slot] as Timed[];
      if (due.length === 0) continue;
      this.#slots[slot] = [];
      this.#held -= due.length;
      for (const timed of due) timed.wheelTick = 0;
      for (const timed of due) this.#visit(timed);
    }
    if (this.#held > 0) this.clock.after(this.#tickMs, this.#advance);
    else this.#ticking = false;
  };

  #visit(timed: Timed): void {
    // One that was visited before it may have cleared it, or set it anew.
    if (timed.deadlineMs === 0 || timed.wheelTick !== 0) return;
    if (timed.deadlineMs > this.#nowMs) {
      this.#place(timed);
      return;
    }
    timed.deadlineMs = 0;
    timed.onDeadline();
  }
}
