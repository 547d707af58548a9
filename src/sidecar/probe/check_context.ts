/** What a check of a workload needs besides the probe. */
import type { Clock } from "../../lib/clock.ts";
import type { TimerWheel } from "../../lib/timer_wheel.ts";

export interface CheckContext {
  /** Where the own workload is. */
  readonly workloadAddress: string;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
}
