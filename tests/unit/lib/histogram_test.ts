import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { bucketQuantile, emptyCounts, Histogram } from "../../../src/lib/histogram.ts";

const BOUNDS = [1, 5, 10];

describe("bucketQuantile()", () => {
  test("interpolates within a bucket", () => {
    expect(bucketQuantile(BOUNDS, [0, 10, 0, 0], 0.5)).toBe(3);
    expect(bucketQuantile(BOUNDS, [10, 0, 0, 0], 0.9)).toBeCloseTo(0.9);
    expect(bucketQuantile(BOUNDS, [5, 0, 5, 0], 0.75)).toBe(7.5);
  });

  test("is the last bound above it, and null without observations", () => {
    expect(bucketQuantile(BOUNDS, [0, 0, 0, 3], 0.5)).toBe(10);
    expect(bucketQuantile(BOUNDS, emptyCounts(BOUNDS), 0.5)).toBeNull();
  });

  test("stays within the bucket that holds the rank, and never falls as the share grows", () => {
    fc.assert(fc.property(
      fc.array(fc.nat(1_000_000), { minLength: 4, maxLength: 4 }).filter((counts) =>
        counts.some((n) => n > 0)
      ),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (counts, a, b) => {
        const low = bucketQuantile(BOUNDS, counts, Math.min(a, b)) as number;
        const high = bucketQuantile(BOUNDS, counts, Math.max(a, b)) as number;
        expect(low).toBeGreaterThanOrEqual(0);
        expect(high).toBeLessThanOrEqual(10);
        expect(high).toBeGreaterThanOrEqual(low);
      },
    ));
  });
});

describe("Histogram", () => {
  test("Histogram.record() counts in the first bucket that is not below the value", () => {
    const histogram = new Histogram([1, 10]);
    for (const value of [0, 1, 1.5, 10, 11, 1e12]) histogram.record(value);
    expect([...histogram.counts]).toEqual([2, 2, 2]);
    expect(histogram.sum).toBe(1e12 + 23.5);
  });

  test("Histogram.take() gives what came since the last call, and add() puts it into another", () => {
    const [from, to] = [new Histogram([1, 10]), new Histogram([1, 10])];
    from.record(5);
    to.record(0);
    to.add(from.take());
    expect(from.take()).toEqual({ counts: [0, 0, 0], sum: 0 });
    from.record(7);
    to.add(from.take());
    expect(to.take()).toEqual({ counts: [1, 2, 0], sum: 12 });
  });
});
