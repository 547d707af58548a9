/**
 * How slowly the body of a request may come. Whoever trickles one of announced length holds an upstream for nothing; one
 * in chunks may be a stream that has nothing to say for a while, and has no pace.
 */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import { BODY_TIMEOUT_MS } from "./limits.ts";

export class BodyPace {
  readonly #wheel: TimerWheel;
  readonly #timed: Timed;
  readonly #bytesMin: number;
  #kept = false;
  /** Since the deadline was set. */
  #bytes = 0;

  /** From `start` to `stop` the deadline of `timed` is that of the body's next `bytesMin` bytes. */
  constructor(wheel: TimerWheel, timed: Timed, bytesMin: number) {
    this.#wheel = wheel;
    this.#timed = timed;
    this.#bytesMin = bytesMin;
  }

  /** A body that has a pace is on its way. */
  get isKept(): boolean {
    return this.#kept;
  }

  start(): void {
    this.#kept = true;
    this.#bytes = 0;
    this.#wheel.set(this.#timed, BODY_TIMEOUT_MS);
  }

  /** The deadline stays, for whoever sets the next one. */
  stop(): void {
    this.#kept = false;
  }

  count(bytes: number): void {
    this.#bytes += bytes;
  }

  /** At the deadline: sets the next one, unless too little came. `held`: we did not let the client send. */
  goesOn(held: boolean): boolean {
    if (!held && this.#bytes < this.#bytesMin) return false;
    this.start();
    return true;
  }
}
