import { describe, expect, test } from "bun:test";
import { DEFAULT_LIMITS, formatLimit, type Limit, LIMIT_KEYS, LIMITS } from "../../../src/model/limits.ts";

describe("LIMITS", () => {
  test.each(LIMIT_KEYS)("%s has a default within its range", (key) => {
    const { least, most, default: value }: Limit = LIMITS[key];
    expect(least).toBeLessThanOrEqual(value);
    expect(value).toBeLessThanOrEqual(most);
    expect(DEFAULT_LIMITS[key]).toBe(value);
  });

  test("each has a name of its own, that a flag can carry", () => {
    const names = LIMIT_KEYS.map((key) => LIMITS[key].name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9-]+$/);
  });

  test("what 0 means is said where it may be given and is not plain", () => {
    for (const key of LIMIT_KEYS) {
      const limit: Limit = LIMITS[key];
      if (limit.zero !== undefined) expect(limit.least).toBe(0);
    }
  });

  test("the defaults cannot be changed by accident", () => {
    expect(Object.isFrozen(DEFAULT_LIMITS)).toBeTrue();
  });
});

describe("formatLimit()", () => {
  test.each(
    [
      [1_000, "ms", "1s"],
      [1_500, "ms", "1500ms"],
      [3_600_000, "ms", "1h"],
      [90_000, "ms", "90s"],
      [0, "ms", "0ms"],
      [61_440, "bytes", "60KiB"],
      [1_048_576, "bytes", "1MiB"],
      [65_535, "bytes", "65535B"],
      [100_000, "count", "100,000"],
    ] as const,
  )("formatLimit() writes %p of %p as %p", (value, unit, text) => {
    expect(formatLimit(value, { ...LIMITS.drainMs, unit })).toBe(text);
  });

  test("formatLimit() says what 0 means", () => {
    expect(formatLimit(0, LIMITS.requestBodyRateBytes)).toBe("off");
  });
});
