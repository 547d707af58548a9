/** Envoy's tables of priority levels. */
import { describe, expect, test } from "bun:test";
import { levelLoads, localityLoad } from "../../../../../src/proxy/cluster/locality/level_loads.ts";

const loads = (minHealthPercent: number, ...levels: [endpoints: number, healthy: number][]) =>
  levelLoads(levels.map(([endpoints, healthy]) => ({ endpoints, healthy })), minHealthPercent);
const numbers = (...args: Parameters<typeof loads>) => loads(...args).map(({ load }) => load);

describe("levelLoads", () => {
  test.each([
    ["whole", [[100, 100], [100, 100]], [100, 0]],
    ["at 100/140", [[100, 72], [100, 100]], [100, 0]],
    ["one below", [[100, 71], [100, 100]], [99, 1]],
    ["half", [[100, 50], [100, 100]], [70, 30]],
    ["a quarter", [[100, 25], [100, 100]], [35, 65]],
    ["none", [[100, 0], [100, 100]], [0, 100]],
    ["both a quarter", [[100, 25], [100, 25]], [50, 50]],
    ["three", [[100, 25], [100, 25], [100, 100]], [35, 35, 30]],
    ["nobody", [[100, 0], [100, 0]], [0, 0]],
    ["an empty one", [[0, 0], [100, 100]], [0, 100]],
    ["one of very many", [[5_000, 1]], [100]],
  ] as [string, [number, number][], number[]][])(
    "levelLoads() with a first level %s",
    (_what, levels, expected) => {
      expect(numbers(0, ...levels)).toEqual(expected);
    },
  );

  test("levelLoads() gives everything away, whatever rounding leaves", () => {
    for (let a = 0; a <= 7; a++) {
      for (let b = 0; b <= 11; b++) {
        const sum = numbers(0, [7, a], [11, b]).reduce((total, load) => total + load, 0);
        expect(sum).toBe(a + b === 0 ? 0 : 100);
      }
    }
  });

  test("levelLoads() panics below the threshold, and not at it", () => {
    expect(loads(50, [10, 5])).toEqual([{ load: 100, panic: false }]);
    expect(loads(50, [10, 4])).toEqual([{ load: 10, panic: true }]);
    expect(loads(50, [10, 0])).toEqual([{ load: 10, panic: true }]);
    expect(loads(0, [10, 0])).toEqual([{ load: 0, panic: false }]);
  });

  test("levelLoads() does not panic while other levels can take it all", () => {
    expect(loads(50, [10, 1], [10, 10])).toEqual([{ load: 14, panic: false }, { load: 86, panic: false }]);
  });

  test("levelLoads() spreads by size when all levels panic, and only the sick one uses its unhealthy otherwise", () => {
    expect(loads(50, [10, 1], [30, 2])).toEqual([{ load: 10, panic: true }, { load: 30, panic: true }]);
    expect(loads(30, [10, 1], [10, 4])).toEqual([{ load: 20, panic: true }, { load: 80, panic: false }]);
  });
});

describe("localityLoad", () => {
  test("localityLoad() keeps the weight as long as 100/140 are healthy", () => {
    expect(localityLoad(80, { endpoints: 14, healthy: 10 })).toBe(80);
    expect(localityLoad(80, { endpoints: 10, healthy: 5 })).toBeCloseTo(56);
    expect(localityLoad(80, { endpoints: 10, healthy: 0 })).toBe(0);
  });
});
