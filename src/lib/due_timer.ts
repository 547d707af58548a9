/**
 * A wait for something that is due by the calendar, such as a renewal. Timers count only the time in which the machine was
 * awake, and know nothing of a clock that is set: a machine that sleeps, or learns after its start what day it is, would
 * let a certificate expire in the belief that there is time.
 */
import type { Clock } from "./clock.ts";

/** How often the time of day is looked at. */
export const DUE_LOOK_MS = 60_000;

/** Calls once, when `ms` have passed by either clock, and DUE_LOOK_MS late at most; the returned function cancels. */
export function afterDue(clock: Clock, ms: number, callback: () => void): () => void {
  const dueMs = clock.now() + ms;
  const endMs = clock.monotonic() + ms;
  let cancel = () => {};
  const wait = (leftMs: number) => {
    cancel = clock.after(Math.min(Math.max(0, leftMs), DUE_LOOK_MS), look);
  };
  const look = () => {
    const leftMs = Math.min(dueMs - clock.now(), endMs - clock.monotonic());
    if (leftMs <= 0) callback();
    else wait(leftMs);
  };
  wait(ms);
  return () => cancel();
}
