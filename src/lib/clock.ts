/** Time as a parameter: every state machine gets a Clock, tests give it a ManualClock. */

/** A timer of the runtime counts milliseconds in 31 bits, 24 days; one that should take longer would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export interface Clock {
  /** Milliseconds since 1970, for what people and certificates read. */
  now(): number;
  /** Milliseconds of a clock that never steps, for durations; fractions allowed. */
  monotonic(): number;
  /** Calls once after `ms`; the returned function cancels. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    if (ms > TIMER_MS_MAX) return inStages(ms, callback);
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

function inStages(ms: number, callback: () => void): () => void {
  let cancel = () => {};
  const rest = () => void (cancel = systemClock.after(ms - TIMER_MS_MAX, callback));
  cancel = systemClock.after(TIMER_MS_MAX, rest);
  return () => cancel();
}

/** A clock that moves only when told to. */
export class ManualClock implements Clock {
  #now: number;
  /** By how much the time of day was set ahead. */
  #aheadMs = 0;
  #timers: { at: number; callback: () => void }[] = [];

  constructor(startMs = 0) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now + this.#aheadMs;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Moves time on and runs what falls due, in order. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#now = Math.max(this.#now, due.at);
      due.callback();
    }
    this.#now = until;
  }

  /** Sets the time of day ahead, or back where negative, as somebody does who sets a clock: no time passes. */
  setAhead(ms: number): void {
    this.#aheadMs += ms;
  }

  /** How many calls are still to come. */
  get pending(): number {
    return this.#timers.length;
  }
}
