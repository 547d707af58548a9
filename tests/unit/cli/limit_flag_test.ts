import { describe, expect, test } from "bun:test";
import { CommandError, EXIT } from "../../../src/cli/exit_codes.ts";
import { limitsHelp, readLimits } from "../../../src/cli/limit_flag.ts";
import { DEFAULT_LIMITS, LIMIT_KEYS, LIMITS } from "../../../src/model/limits.ts";

/** The refusal of a value, as the user reads it. */
function refusal(...texts: string[]): string {
  try {
    readLimits(texts);
  } catch (error) {
    expect(error).toBeInstanceOf(CommandError);
    const { message, hint, exitCode } = error as CommandError;
    expect(exitCode).toBe(EXIT.usage);
    return `${message}; ${hint}`;
  }
  throw new Error("It was taken");
}

describe("readLimits()", () => {
  test("readLimits() changes what is named, and leaves the rest as it is", () => {
    expect(readLimits([])).toEqual(DEFAULT_LIMITS);
    expect(readLimits(["request-header-bytes=8KiB", "drain-time=1m30s", "http2-streams=7"])).toEqual({
      ...DEFAULT_LIMITS,
      requestHeaderBytes: 8_192,
      drainMs: 90_000,
      http2Streams: 7,
    });
  });

  test.each([["10B", 10], ["10", 10], ["2KiB", 2_048], ["0", 0]])(
    "readLimits() reads %p as bytes",
    (text, bytes) => {
      expect(readLimits([`request-body-rate=${text}`]).requestBodyRateBytes).toBe(bytes);
    },
  );

  test.each(LIMIT_KEYS)("readLimits() takes %s from its least to its most, and nothing beyond", (key) => {
    const { name, least, most, unit } = LIMITS[key];
    const suffix = unit === "ms" ? "ms" : "";
    for (const value of [least, most]) expect(readLimits([`${name}=${value}${suffix}`])[key]).toBe(value);
    expect(refusal(`${name}=${most + 1}${suffix}`)).toContain(`is no value for the limit ${name}`);
    if (least > 0) {
      expect(refusal(`${name}=${least - 1}${suffix}`)).toContain(`is no value for the limit ${name}`);
    }
  });

  test.each([
    ["drain-tme=5s", 'There is no limit "drain-tme"; did you mean drain-time?'],
    ["zzz=1", 'There is no limit "zzz"; bowline help run lists them'],
    ["drain-time", "--limit drain-time has no value; write --limit drain-time=30s"],
    [
      "drain-time=fast",
      '"fast" is no value for the limit drain-time; a duration from 0ms to 1h, for instance --limit drain-time=30s',
    ],
    [
      "http2-streams=7s",
      '"7s" is no value for the limit http2-streams; a whole number from 1 to 1,000, for instance ' +
      "--limit http2-streams=100",
    ],
    [
      "retry-buffer=1GB",
      '"1GB" is no value for the limit retry-buffer; bytes, KiB, MiB or GiB, from 0B to 64MiB, for instance ' +
      "--limit retry-buffer=256KiB",
    ],
    ["request-body-rate=-1", '"-1" is no value'],
    ["drain-time=0.5ms", '"0.5ms" is no value'],
    ["constructor=1", 'There is no limit "constructor"'],
    ["", 'There is no limit ""'],
  ])("readLimits() refuses %p", (text, expected) => {
    expect(refusal(text)).toContain(expected);
  });

  test("readLimits() refuses to be told the same twice", () => {
    expect(refusal("drain-time=1s", "drain-time=2s")).toContain("--limit drain-time is given twice");
  });
});

describe("limitsHelp()", () => {
  test("limitsHelp() shows values that can be given back", () => {
    for (const line of limitsHelp().split("\n").filter((line) => line.startsWith("  "))) {
      const [name, value] = line.trim().split(/ +/);
      expect(readLimits([`${name}=${value}`])).toEqual(DEFAULT_LIMITS);
    }
  });
});
