import { describe, expect, test } from "bun:test";
import { collect, flag, wholeNumber } from "../../../src/cli/flags.ts";

describe("flag()", () => {
  test.each([["1", true], ["yes", true], ["on", true], ["TRUE", true], ["0", false], ["false", false], [
    "",
    false,
  ]])(
    "takes %j of the environment for a flag without a value as %p",
    (value, set) => {
      process.env["BOWLINE_TEST_FLAG"] = value;
      expect(flag("--test-flag", "").envVar).toBe(set ? "BOWLINE_TEST_FLAG" : undefined);
      delete process.env["BOWLINE_TEST_FLAG"];
    },
  );
});

test("wholeNumber() takes the bounds and refuses what is beyond, or no number", () => {
  const parse = wholeNumber(1, 10);
  expect([parse("1"), parse("10")]).toEqual([1, 10]);
  for (const text of ["0", "11", "-1", "1.5", "1e1", "", "x", "9".repeat(30)]) {
    expect(() => parse(text)).toThrow("It must be a whole number from 1 to 10.");
  }
});

test("collect() gathers values in order", () => {
  expect(collect("b", collect("a", undefined))).toEqual(["a", "b"]);
});
