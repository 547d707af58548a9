import { describe, expect, test } from "bun:test";
import { COMPARED_LENGTH_MAX, editDistance, nearest } from "../../../src/lib/edit_distance.ts";

describe("editDistance()", () => {
  const cases: [string, string, number][] = [
    ["", "", 0],
    ["", "abc", 3],
    ["abc", "", 3],
    ["subset", "subset", 0],
    ["subst", "subset", 1],
    ["suubset", "subset", 1],
    ["sabset", "subset", 1],
    ["usbset", "subset", 1],
    ["kitten", "sitting", 3],
  ];
  for (const [from, to, distance] of cases) {
    test(`editDistance() of "${from}" and "${to}" is ${distance}`, () => {
      expect(editDistance(from, to)).toBe(distance);
      expect(editDistance(to, from)).toBe(distance);
    });
  }

  test("editDistance() compares no more than the first characters", () => {
    const long = "a".repeat(COMPARED_LENGTH_MAX);
    expect(editDistance(`${long}b`, `${long}cccc`)).toBe(0);
    expect(editDistance(`${long.slice(1)}b`, long)).toBe(1);
  });
});

describe("nearest()", () => {
  test("nearest() finds the candidate with the fewest edits", () => {
    expect(nearest("rout", ["redirect", "route", "retries"])).toBe("route");
  });

  test("nearest() ignores case", () => {
    expect(nearest("virtualservice", ["VirtualService"])).toBe("VirtualService");
  });

  test("nearest() finds nothing when more than a third of the characters differ", () => {
    expect(nearest("abcxyz", ["abcdef"])).toBeUndefined();
    expect(nearest("abcdxy", ["abcdef"])).toBe("abcdef");
  });

  test("nearest() allows one edit in a short word and takes the first of equals", () => {
    expect(nearest("tls", ["tcp", "tl"])).toBe("tl");
    expect(nearest("ab", ["ac", "ad"])).toBe("ac");
    expect(nearest("x", [])).toBeUndefined();
  });
});
