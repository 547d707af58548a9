/** A deadline of one request, on the wheel. Only requests of routes with a timeout have one. */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";

/** Request deadlines are kept to within four of these, never early. */
export const DEADLINE_TICK_MS = 10;

export class Deadline implements Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wheel: TimerWheel;
  readonly onDeadline: () => void;

  constructor(wheel: TimerWheel, ms: number, onDeadline: () => void) {
    this.#wheel = wheel;
    this.onDeadline = onDeadline;
    wheel.set(this, ms);
  }

  cancel(): void {
    this.#wheel.clear(this);
  }
}
