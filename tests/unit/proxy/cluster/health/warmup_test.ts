/** Slow start. */
import { describe, expect, test } from "bun:test";
import { warmth } from "../../../../../src/proxy/cluster/health/warmup.ts";

const warmup = { durationMs: 60_000, minimumPercent: 10, aggression: 1 };

describe("warmth", () => {
  test("warmth() grows in proportion to time, from the minimum", () => {
    const ages = [0, 3_000, 6_000, 30_000, 59_999, 60_000, Infinity];
    expect(ages.map((age) => warmth(age, warmup))).toEqual([0.1, 0.1, 0.1, 0.5, 59_999 / 60_000, 1, 1]);
  });

  test("warmth() grows faster at first with more aggression", () => {
    expect(warmth(15_000, { ...warmup, aggression: 2 })).toBe(0.5);
  });

  test("warmth() is never nothing", () => {
    expect(warmth(0, { ...warmup, minimumPercent: 0 })).toBeGreaterThan(0);
  });
});
