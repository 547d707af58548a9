import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { afterDue, DUE_LOOK_MS, SET_BACK_MS } from "../../../src/lib/due_timer.ts";

const DAY_MS = 24 * 3_600_000;

describe("afterDue()", () => {
  function waiting(ms: number) {
    const clock = new ManualClock(Date.UTC(2030, 0, 1));
    const calls: number[] = [];
    const cancel = afterDue(clock, ms, () => calls.push(clock.monotonic() - Date.UTC(2030, 0, 1)));
    return { clock, calls, cancel };
  }

  test("afterDue() calls once, when the time has passed", () => {
    const { clock, calls } = waiting(45 * DAY_MS);
    clock.advance(45 * DAY_MS - 1);
    expect(calls).toEqual([]);
    clock.advance(1);
    expect(calls).toEqual([45 * DAY_MS]);
    expect(clock.pending).toBe(0);
  });

  test("afterDue() calls soon when the time of day was set ahead, or the machine had slept", () => {
    const { clock, calls } = waiting(DAY_MS);
    clock.setAhead(2 * DAY_MS);
    clock.advance(DUE_LOOK_MS);
    expect(calls).toEqual([DUE_LOOK_MS]);
  });

  test("afterDue() calls soon when the time of day was set back to before the wait began", () => {
    const { clock, calls } = waiting(DAY_MS);
    clock.setAhead(-SET_BACK_MS - DUE_LOOK_MS - 1);
    clock.advance(DUE_LOOK_MS);
    expect(calls).toEqual([DUE_LOOK_MS]);
    expect(clock.pending).toBe(0);
  });

  test("afterDue() waits no longer when the time of day was set back by less", () => {
    const { clock, calls } = waiting(DAY_MS);
    clock.setAhead(-SET_BACK_MS - DUE_LOOK_MS);
    clock.advance(DAY_MS);
    expect(calls).toEqual([DAY_MS]);
  });

  test("afterDue() calls for what was due already, but not before it has returned, and never once cancelled", () => {
    const late = waiting(-DAY_MS);
    expect(late.calls).toEqual([]);
    late.clock.advance(0);
    expect(late.calls).toEqual([0]);
    const cancelled = waiting(DAY_MS);
    cancelled.clock.advance(DAY_MS / 2);
    cancelled.cancel();
    cancelled.clock.advance(DAY_MS);
    expect(cancelled.calls).toEqual([]);
    expect(cancelled.clock.pending).toBe(0);
  });
});
