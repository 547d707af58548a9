/** How the benchmark's samples become numbers, and the numbers a table. */
import { describe, expect, test } from "bun:test";
import { markdown, percentile, ratios, type Row, spread } from "../../../../scripts/bench/row.ts";

const ROW: Row = {
  work: "HTTP/1.1",
  unit: "µs",
  digits: 1,
  better: "less",
  goal: "≤ 0.7",
  results: { bowline: spread([30, 20, 25]), haproxy: spread([50]) },
};

describe("spread()", () => {
  test("spread() finds the middle and both ends, whatever the order", () => {
    expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  });

  test("spread() takes the lower of two middles", () => {
    expect(spread([4, 1, 3, 2]).median).toBe(2);
  });

  test("spread() refuses nothing at all", () => {
    expect(() => spread([])).toThrow("nothing to summarize");
  });
});

test("percentile() takes the nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
  expect([0, 0.5, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([1, 50, 99, 100]);
  expect(percentile([7], 0.99)).toBe(7);
});

test("ratios() compares the medians of the candidate with those of each yardstick", () => {
  expect(ratios(ROW)).toEqual({ haproxy: 0.5 });
  expect(ratios({ ...ROW, better: null })).toEqual({});
});

test("markdown() shows spreads, ratios, and a dash for what a pair cannot do", () => {
  expect(markdown([ROW], ["bowline", "haproxy", "nginx"]).split("\n")).toEqual([
    "| work | unit | bowline | haproxy | nginx | ÷ haproxy | ÷ nginx | goal |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    "| HTTP/1.1 | µs | 25.0 (20.0–30.0) | 50.0 | – | 0.50 | – | ≤ 0.7 |",
  ]);
});
