import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../src/lib/clock.ts";
import { TAPPED_CALLS_MAX } from "../../../src/model/tap.ts";
import { NOTHING_TAPPED, Tap } from "../../../src/telemetry/tap.ts";
import { TAPPED } from "./tapped.ts";

describe("Tap", () => {
  test("is open for as long as it was asked to, and then keeps nothing", () => {
    const clock = new ManualClock();
    const tap = new Tap(clock);
    expect(tap.active).toBe(false);
    tap.open(100);
    tap.record(TAPPED);
    clock.advance(99);
    expect(tap.active).toBe(true);
    tap.open(100);
    clock.advance(99);
    expect(tap.active).toBe(true);
    clock.advance(1);
    expect([tap.active, tap.take()]).toEqual([false, NOTHING_TAPPED]);
  });

  test("gives each call once, and counts those beyond its room", () => {
    const tap = new Tap(new ManualClock());
    tap.open(100);
    for (let i = 0; i <= TAPPED_CALLS_MAX; i++) tap.record(TAPPED);
    const { calls, omitted } = tap.take();
    expect([calls.length, omitted]).toEqual([TAPPED_CALLS_MAX, 1]);
    expect(tap.take()).toEqual(NOTHING_TAPPED);
  });

  test("absorbs what another process kept, unless nobody watches any more", () => {
    const tap = new Tap(new ManualClock());
    tap.absorb({ calls: [TAPPED], omitted: 1 });
    expect(tap.take()).toEqual(NOTHING_TAPPED);
    tap.open(100);
    tap.absorb({ calls: [TAPPED], omitted: 1 });
    expect(tap.take()).toEqual({ calls: [TAPPED], omitted: 1 });
  });
});
