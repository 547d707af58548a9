/** Who is ejected, for how long, and what limits it. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../../src/lib/clock.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../../../src/lib/timer_wheel.ts";
import type { OutlierDetection } from "../../../../../src/model/outlier_detection.ts";
import type { ResetReason } from "../../../../../src/proxy/exchange.ts";
import { OUTLIER } from "./outlier.ts";
import { EndpointHealth } from "../../../../../src/proxy/cluster/health/endpoint_health.ts";
import {
  EJECTION_MAX_MS,
  OutlierDetector,
} from "../../../../../src/proxy/cluster/health/outlier_detector.ts";

function pool(size: number, more: Partial<OutlierDetection> = {}) {
  const clock = new ManualClock(1_000_000);
  const wheel = new TimerWheel(clock);
  const all = Array.from({ length: size }, () => new EndpointHealth(-Infinity));
  let changes = 0;
  const detector = new OutlierDetector(
    { ...OUTLIER, ...more },
    all,
    { clock, wheel },
    { ejections: 0, overflow: 0 },
    () => changes++,
  );
  detector.start();
  const [one] = all as [EndpointHealth];
  return {
    clock,
    wheel,
    all,
    one,
    detector,
    changes: () => changes,
    answer: (...statuses: number[]) => statuses.forEach((status) => one.report(status, null)),
    fail: (reason: ResetReason, times: number) => {
      for (let i = 0; i < times; i++) one.report(0, reason);
    },
    out: () => all.map(({ ejectedAtMs }) => ejectedAtMs !== null),
  };
}

type Pool = ReturnType<typeof pool>;

/** Ejects the first one and says how long it stays out, within the interval of the sweeps. */
function ejectionMs({ answer, clock, one }: Pool): number {
  answer(500, 500, 500, 500, 500);
  const from = clock.monotonic();
  while (one.ejectedAtMs !== null) clock.advance(1_000);
  return clock.monotonic() - from;
}

describe("OutlierDetector: who is ejected", () => {
  test("OutlierDetector ejects at the fifth 5xx in a row, and not at the fourth", () => {
    const { answer, out, detector, changes } = pool(2);
    answer(500, 502, 503, 599);
    expect([out(), detector.ejected, changes()]).toEqual([[false, false], 0, 0]);
    answer(504);
    expect([out(), detector.ejected, changes()]).toEqual([[true, false], 1, 1]);
    expect(detector.counters).toEqual({ ejections: 1, overflow: 0 });
  });

  test("OutlierDetector begins anew with every answer below 500", () => {
    const { answer, out } = pool(1);
    for (let i = 0; i < 3; i++) answer(500, 500, 500, 500, i === 1 ? 404 : 200);
    expect(out()).toEqual([false]);
  });

  test("OutlierDetector never ejects for a count of 0", () => {
    const { answer, fail, out } = pool(1, { consecutive5xx: 0, consecutiveGatewayErrors: 0 });
    for (let i = 0; i < 50; i++) answer(503);
    fail("connect-failure", 50);
    expect(out()).toEqual([false]);
  });

  test("OutlierDetector counts gateway errors apart: 502, 503, 504", () => {
    const gateway = () => pool(1, { consecutive5xx: 0, consecutiveGatewayErrors: 3 });
    const mixed = gateway();
    mixed.answer(502, 503, 500, 502, 503, 501, 504, 505);
    expect(mixed.out()).toEqual([false]);
    mixed.answer(502, 503, 504);
    expect(mixed.out()).toEqual([true]);
    const refused = gateway();
    refused.fail("connect-failure", 3);
    expect(refused.out()).toEqual([true]);
  });

  test.each(["connect-failure", "connect-timeout", "peer-refused", "closed", "refused", "timeout"] as const)(
    "OutlierDetector takes %p for a 5xx",
    (reason) => {
      const { answer, fail, out } = pool(1);
      answer(500, 500);
      fail(reason, 3);
      expect(out()).toEqual([true]);
    },
  );

  test("OutlierDetector does not take our own giving up for a failure", () => {
    const { fail, out } = pool(1);
    fail("cancelled", 50);
    expect(out()).toEqual([false]);
  });

  test("OutlierDetector counts failures of the connection apart when told to", () => {
    const split = () => pool(1, { splitLocalOrigin: true, consecutiveLocalOriginFailures: 3 });
    const mixed = split();
    mixed.fail("connect-failure", 2);
    mixed.answer(500, 500);
    mixed.fail("timeout", 2);
    mixed.answer(500, 500);
    expect(mixed.out()).toEqual([false]);
    mixed.fail("connect-failure", 3);
    expect(mixed.out()).toEqual([true]);
    const answers = split();
    answers.answer(500, 500, 500, 500, 500);
    expect(answers.out()).toEqual([true]);
  });

  test("OutlierDetector takes the statuses that it is given for errors, and no others", () => {
    const { answer, out } = pool(1, { httpErrorCodes: [429, 503] });
    answer(500, 500, 500, 500, 500, 429, 503, 429, 503, 500);
    expect(out()).toEqual([false]);
    answer(429, 429, 503, 429, 429);
    expect(out()).toEqual([true]);
  });
});

describe("OutlierDetector: how many are ejected", () => {
  test.each([
    // As Envoy counts, without `always_eject_one_host`: whoever would make it more than the percentage stays.
    [1, 10, 0],
    [2, 10, 0],
    [3, 10, 0],
    [9, 10, 0],
    [10, 10, 1],
    [19, 10, 1],
    [20, 10, 2],
    [1, 50, 0],
    [2, 50, 1],
    [3, 50, 1],
    [3, 33, 0],
    [3, 34, 1],
    [3, 67, 2],
    [1, 100, 1],
    [2, 100, 2],
    [3, 100, 3],
    [3, 0, 0],
  ])("of %p endpoints, %p %% allow %p to be ejected", (size, maxEjectionPercent, expected) => {
    const { all, detector } = pool(size, { maxEjectionPercent });
    for (const one of all) for (let i = 0; i < 5; i++) one.report(500, null);
    expect([detector.ejected, detector.counters]).toEqual([
      expected,
      { ejections: expected, overflow: size - expected },
    ]);
  });

  test("OutlierDetector looks again after as many errors when it was not allowed to eject", () => {
    const { answer, all, detector, clock } = pool(2, { maxEjectionPercent: 50 });
    for (let i = 0; i < 5; i++) all[1]?.report(500, null);
    answer(500, 500, 500, 500, 500);
    expect(detector.counters.overflow).toBe(1);
    clock.advance(40_000 + 4 * WHEEL_LATENESS_MS);
    expect(detector.ejected).toBe(0);
    answer(500, 500, 500, 500);
    expect(detector.ejected).toBe(0);
    answer(500);
    expect(detector.ejected).toBe(1);
  });
});

describe("OutlierDetector: for how long", () => {
  test("OutlierDetector lets back with the sweep after the base time", () => {
    const life = pool(1);
    const ms = ejectionMs(life);
    expect(ms).toBeWithin(30_000, 40_000 + 4 * WHEEL_LATENESS_MS);
    expect([life.detector.ejected, life.changes()]).toEqual([0, 2]);
  });

  test("OutlierDetector ejects for longer every time, up to the longest", () => {
    const life = pool(1);
    for (let n = 1; n <= 14; n++) {
      const least = Math.min(n * 30_000, EJECTION_MAX_MS);
      expect(ejectionMs(life)).toBeWithin(least, least + 10_000 + 20 * WHEEL_LATENESS_MS);
    }
    expect(EJECTION_MAX_MS).toBe(300_000);
    const long = pool(1, { baseEjectionMs: 600_000 });
    for (let n = 0; n < 3; n++) expect(ejectionMs(long)).toBeWithin(600_000, 650_000);
  });

  test("OutlierDetector forgives one ejection with every quiet interval, then has nothing left to wait for", () => {
    const life = pool(1);
    for (let n = 0; n < 3; n++) ejectionMs(life);
    expect(life.one.ejections).toBe(3);
    life.clock.advance(11_000);
    expect(life.one.ejections).toBe(2);
    life.clock.advance(40_000);
    expect([life.one.ejections, life.wheel.size]).toEqual([0, 0]);
    expect(ejectionMs(life)).toBeLessThan(45_000);
  });

  test("OutlierDetector holds one deadline, however many are out, and none before", () => {
    const { all, wheel } = pool(100);
    expect(wheel.size).toBe(0);
    for (const one of all) for (let i = 0; i < 5; i++) one.report(500, null);
    expect(wheel.size).toBe(1);
  });

  test("OutlierDetector begins anew with one that is back, and ignores what it reports while it is out", () => {
    const { answer, fail, one, clock, detector } = pool(1, { consecutiveGatewayErrors: 9 });
    answer(500, 500, 500, 500, 500, 503, 503, 503, 503, 503);
    fail("timeout", 20);
    expect([detector.ejected, detector.counters.ejections]).toEqual([1, 1]);
    clock.advance(60_000);
    expect([one.ejectedAtMs, one.errors5xx, one.gatewayErrors]).toEqual([null, 0, 0]);
    answer(500, 500, 500, 500);
    expect(detector.ejected).toBe(0);
  });

  test("OutlierDetector.stop() judges nobody and waits for nothing", () => {
    const { answer, detector, wheel, out } = pool(1);
    answer(500, 500, 500, 500, 500);
    detector.stop();
    expect(wheel.size).toBe(0);
    answer(200);
    expect(out()).toEqual([true]);
  });
});
