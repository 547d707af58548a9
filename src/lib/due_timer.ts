/**
 * A wait for something that is due by the calendar, such as a renewal. Timers count only the time in which the machine was
 * awake, and know nothing of a clock that is set: a machine that sleeps, or learns after its start what day it is, would
 * let a certificate expire in the belief that there is time.
 */
import type { Clock } from "./clock.ts";

/** How often the time of day is looked at. */
export const DUE_LOOK_MS = 60_000;

/** The clock was wrong when the wait began, if it shows a time so long before that. */
export const SET_BACK_MS = 5 * 60_000;

/**
 * Calls once, when `ms` have passed by either clock, and DUE_LOOK_MS late at most; the returned function cancels. A clock
 * that is set right after it was ahead is due, too: what the wait was for holds from a time on that is yet to come.
 */
export function afterDue(clock: Clock, ms: number, callback: () => void): () => void {
  const beganMs = clock.now();
  const dueMs = beganMs + ms;
  const endMs = clock.monotonic() + ms;
  let cancel = () => {};
  const wait = (leftMs: number) => {
    cancel = clock.after(Math.min(Math.max(0, leftMs), DUE_LOOK_MS), look);
  };
  const look = () => {
    const now = clock.now();
    const leftMs = Math.min(dueMs - now, endMs - clock.monotonic());
    if (leftMs <= 0 || now < beganMs - SET_BACK_MS) callback();
    else wait(leftMs);
  };
  wait(ms);
  return () => cancel();
}
