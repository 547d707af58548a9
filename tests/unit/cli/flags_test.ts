import { describe, expect, test } from "bun:test";
import { collect, collectEach, flag, hostAndPort, ipAddress, wholeNumber } from "../../../src/cli/flags.ts";

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

test("ipAddress() takes addresses, neither names nor ports", () => {
  for (const text of ["10.0.0.7", "::", "fd00::7"]) expect(ipAddress(text)).toBe(text);
  for (const text of ["", "web", "10.0.0.256", "10.0.0.7:15001", "10.0.0.0/8", "[::1]"]) {
    expect(() => ipAddress(text)).toThrow("It must be an IP address without a port, such as 10.0.0.7.");
  }
});

test("hostAndPort() takes a name or an address with a port", () => {
  for (const text of ["10.0.0.1:15012", "control.example.com:1", "[fd00::1]:65535"]) {
    expect(hostAndPort(text)).toBe(text);
  }
  for (
    const text of [
      "",
      "10.0.0.1",
      ":15012",
      "a:0",
      "a:65536",
      "a:b",
      "https://a:15012",
      "fd00::1:15012",
      "a:1/",
    ]
  ) expect(() => hostAndPort(text)).toThrow("It must be HOST:PORT, such as 10.0.0.1:15012.");
});

test("collect() gathers values in order", () => {
  expect(collect("b, c", collect("a", undefined))).toEqual(["a", "b, c"]);
});

test("collectEach() takes several in one text, as the environment gives them", () => {
  expect(collectEach("b, c,d", collectEach("a", undefined))).toEqual(["a", "b", "c", "d"]);
});
