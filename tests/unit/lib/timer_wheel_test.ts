import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Clock, ManualClock } from "../../../src/lib/clock.ts";
import { type Timed, TimerWheel, WHEEL_LATENESS_MS, WHEEL_TICK_MS } from "../../../src/lib/timer_wheel.ts";

class Alarm implements Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly rang: number[] = [];

  constructor(readonly clock: Clock, readonly again: (alarm: Alarm) => void = () => {}) {}

  onDeadline(): void {
    this.rang.push(this.clock.monotonic());
    this.again(this);
  }
}

/** A clock whose timers all come late by what the test says, as when the process stands still. */
class StallingClock implements Clock {
  nowMs = 1_000;
  readonly timers: { at: number; callback: () => void }[] = [];
  now = (): number => this.nowMs;
  monotonic = (): number => this.nowMs;

  after(ms: number, callback: () => void): () => void {
    this.timers.push({ at: this.nowMs + ms, callback });
    return () => {};
  }

  /** Time goes on without any timer running, then the due ones run once. */
  stall(ms: number): void {
    this.nowMs += ms;
    const due = this.timers.filter(({ at }) => at <= this.nowMs);
    for (const timer of due) this.timers.splice(this.timers.indexOf(timer), 1);
    for (const timer of due) timer.callback();
  }
}

describe("TimerWheel", () => {
  test("TimerWheel calls at the deadline, once, never early and little late", () => {
    for (const ms of [1, 99, 100, 101, 5_000, 10_000, 60_000, 3_600_000]) {
      const clock = new ManualClock(12_345);
      const wheel = new TimerWheel(clock);
      const alarm = new Alarm(clock);
      wheel.set(alarm, ms);
      clock.advance(ms + 200_000);
      expect(alarm.rang).toHaveLength(1);
      expect(alarm.rang[0]).toBeGreaterThanOrEqual(12_345 + ms);
      expect(alarm.rang[0]).toBeLessThanOrEqual(12_345 + ms + WHEEL_LATENESS_MS);
      expect(wheel.size).toBe(0);
    }
  });

  test("TimerWheel.set() moves a deadline later without calling at the old one", () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const alarm = new Alarm(clock);
    wheel.set(alarm, 1_000);
    clock.advance(900);
    wheel.set(alarm, 1_000);
    clock.advance(900);
    expect(alarm.rang).toEqual([]);
    clock.advance(1_000);
    expect(alarm.rang).toHaveLength(1);
  });

  test("TimerWheel.set() moves a far deadline near: an idle connection that begins a head has 10 s, not a round", () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const alarm = new Alarm(clock);
    wheel.set(alarm, 3_600_000);
    clock.advance(250);
    wheel.set(alarm, 10_000);
    clock.advance(9_999);
    expect(alarm.rang).toEqual([]);
    clock.advance(WHEEL_LATENESS_MS + 1);
    expect(alarm.rang).toHaveLength(1);
    clock.advance(4_000_000);
    expect(alarm.rang).toHaveLength(1);
  });

  test("TimerWheel holds those that are set, and no other, whatever is set and cleared in between", () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const alarms = Array.from({ length: 20 }, () => new Alarm(clock));
    const step = fc.tuple(
      fc.nat(19),
      fc.constantFrom("set", "clear", "wait"),
      fc.integer({ min: 1, max: 30_000 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        for (const [which, what, ms] of steps) {
          const alarm = alarms[which] as Alarm;
          if (what === "set") wheel.set(alarm, ms);
          else if (what === "clear") wheel.clear(alarm);
          else clock.advance(ms);
          expect(wheel.size).toBe(alarms.filter(({ deadlineMs }) => deadlineMs !== 0).length);
        }
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  test("TimerWheel does not ring what another of the same tick has just cleared, or set anew", () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const [cleared, later] = [new Alarm(clock), new Alarm(clock)];
    const first = new Alarm(clock, () => {
      wheel.clear(cleared);
      wheel.set(later, 10_000);
    });
    for (const alarm of [first, cleared, later]) wheel.set(alarm, 1_000);
    clock.advance(5_000);
    expect([first.rang.length, cleared.rang.length, later.rang.length]).toEqual([1, 0, 0]);
    clock.advance(10_000);
    expect([cleared.rang.length, later.rang.length]).toEqual([0, 1]);
  });

  test("TimerWheel.clear() takes the deadline away, and lets go of the object at once", () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const alarm = new Alarm(clock);
    wheel.set(alarm, 3_600_000);
    wheel.clear(alarm);
    expect(wheel.size).toBe(0);
    clock.advance(15_000);
    expect(clock.pending).toBe(0);
    clock.advance(4_000_000);
    expect(alarm.rang).toEqual([]);
  });

  test("TimerWheel.set() after clear() counts anew", () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const alarm = new Alarm(clock);
    wheel.set(alarm, 500);
    wheel.clear(alarm);
    wheel.set(alarm, 2_000);
    clock.advance(1_999);
    expect(alarm.rang).toEqual([]);
    clock.advance(WHEEL_LATENESS_MS + 1);
    expect(alarm.rang).toHaveLength(1);
  });

  test("TimerWheel lets an object set its next deadline when it is called", () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const alarm = new Alarm(clock, (self) => self.rang.length < 3 && wheel.set(self, 1_000));
    wheel.set(alarm, 1_000);
    clock.advance(10_000);
    expect(alarm.rang).toHaveLength(3);
  });

  test("TimerWheel stops ticking without objects and starts again with one", () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const alarm = new Alarm(clock);
    wheel.set(alarm, 100);
    clock.advance(1_000);
    expect(clock.pending).toBe(0);
    clock.advance(1_000_000);
    wheel.set(alarm, 100);
    expect(clock.pending).toBe(1);
    clock.advance(99);
    expect(alarm.rang).toHaveLength(1);
    clock.advance(WHEEL_LATENESS_MS + 1);
    expect(alarm.rang).toHaveLength(2);
  });

  test("TimerWheel does not count time in which the process stood still", () => {
    const clock = new StallingClock();
    const wheel = new TimerWheel(clock);
    const alarm = new Alarm(clock);
    const other = new Alarm(clock);
    wheel.set(other, 3_600_000);
    clock.stall(WHEEL_TICK_MS);
    // The process stands still for 8 s; then a connection gets 10 s before the wheel has heard of the pause.
    clock.nowMs += 8_000;
    const setAt = clock.nowMs;
    wheel.set(alarm, 10_000);
    for (let i = 0; i < 200 && alarm.rang.length === 0; i++) clock.stall(WHEEL_TICK_MS);
    expect(alarm.rang[0]).toBeGreaterThanOrEqual(setAt + 10_000);
    expect(alarm.rang[0]).toBeLessThanOrEqual(setAt + 10_000 + WHEEL_LATENESS_MS);
  });

  test("TimerWheel keeps every deadline of any history of sets and clears (property)", () => {
    const step = fc.record({
      alarm: fc.nat(3),
      ms: fc.oneof(fc.constant(-1), fc.integer({ min: 1, max: 70_000 })),
      waitMs: fc.nat(20_000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const clock = new ManualClock(5);
        const wheel = new TimerWheel(clock);
        const alarms = Array.from({ length: 4 }, () => new Alarm(clock));
        const due: (number | null)[] = [null, null, null, null];
        const seen = [0, 0, 0, 0];
        const check = () => {
          alarms.forEach((alarm, i) => {
            const at = due[i] as number | null;
            if (alarm.rang.length > (seen[i] as number)) {
              expect(alarm.rang.length).toBe((seen[i] as number) + 1);
              const rang = alarm.rang.at(-1) as number;
              expect(at).not.toBeNull();
              expect(rang).toBeGreaterThanOrEqual(at as number);
              expect(rang).toBeLessThanOrEqual((at as number) + WHEEL_LATENESS_MS);
              seen[i] = alarm.rang.length;
              due[i] = null;
            } else if (at !== null) {
              expect(clock.monotonic()).toBeLessThan(at + WHEEL_LATENESS_MS);
            }
          });
        };
        for (const { alarm, ms, waitMs } of steps) {
          const one = alarms[alarm] as Alarm;
          if (ms < 0) wheel.clear(one);
          else wheel.set(one, ms);
          due[alarm] = ms < 0 ? null : clock.monotonic() + ms;
          clock.advance(waitMs);
          check();
        }
        clock.advance(100_000);
        check();
        expect(wheel.size).toBe(0);
      }),
      { seed: 4711, numRuns: 100 },
    );
  });
});
