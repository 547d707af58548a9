import { describe, expect, test } from "bun:test";
import { DURATION_LENGTH_MAX, formatDuration, parseDuration } from "../../../src/lib/duration.ts";

describe("parseDuration()", () => {
  test.each([
    ["0", 0],
    ["0s", 0],
    ["15m", 900_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["1.s", 1_000],
    ["250ms", 250],
    ["10us", 0.01],
    ["10µs", 0.01],
    ["1000000ns", 1],
    ["1m1m", 120_000],
  ])("takes %p as %p ms", (text, ms) => {
    expect(parseDuration(text)).toBeCloseTo(ms, 9);
  });

  test.each([
    "",
    "15",
    "m",
    "1 h",
    " 1h",
    "1h ",
    "-1s",
    "+1s",
    "1d",
    "1H",
    ".s",
    "1e3s",
    "1h30",
    "Infinitys",
  ])(
    "refuses %p",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test("takes a text of the greatest length and refuses a longer one", () => {
    const longest = `${"0".repeat(DURATION_LENGTH_MAX - 2)}1s`;
    expect(parseDuration(longest)).toBe(1_000);
    expect(parseDuration(`0${longest}`)).toBeUndefined();
  });
});

describe("formatDuration()", () => {
  test.each([
    [0, "0ms"],
    [0.5, "0.5ms"],
    [1_500, "1500ms"],
    [90_000, "90s"],
    [5_400_000, "90m"],
    [86_400_000, "24h"],
    [86_401_000, "86401s"],
  ])("tells %p ms as %p, which means the same", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
    expect(parseDuration(text)).toBe(ms);
  });
});
