import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sequenceDiff } from "../../../../src/cli/diff/sequence_diff.ts";

const same = (a: string, b: string) => a === b;

function diff(before: string, after: string): string[] {
  return sequenceDiff([...before], [...after], same).map((one) => `${one.before ?? ""}>${one.after ?? ""}`);
}

describe("sequenceDiff()", () => {
  test("sequenceDiff() finds nothing between equal lists", () => {
    expect(diff("abc", "abc")).toEqual([]);
    expect(diff("", "")).toEqual([]);
  });

  test("sequenceDiff() does not count what only moved down behind a new item", () => {
    expect(diff("abc", "xabc")).toEqual([">x"]);
    expect(diff("abc", "abxc")).toEqual([">x"]);
    expect(diff("abc", "ac")).toEqual(["b>"]);
  });

  test("sequenceDiff() pairs what changed in one place", () => {
    expect(diff("abc", "axc")).toEqual(["b>x"]);
    expect(diff("abcd", "axyd")).toEqual(["b>x", "c>y"]);
    expect(diff("abc", "axyc")).toEqual(["b>x", ">y"]);
    expect(diff("abcd", "axd")).toEqual(["b>x", "c>"]);
  });

  test("sequenceDiff() tells every item that is in one list only", () => {
    const letters = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 12 });
    fc.assert(fc.property(letters, letters, (before, after) => {
      const changes = sequenceDiff(before, after, same);
      const gone = changes.filter((one) => one.before !== null).length;
      const come = changes.filter((one) => one.after !== null).length;
      expect(before.length - gone).toBe(after.length - come);
      for (const letter of "abcd") {
        const count = (items: readonly (string | null)[]) => items.filter((item) => item === letter).length;
        expect(count(before) - count(changes.map((one) => one.before))).toBe(
          count(after) - count(changes.map((one) => one.after)),
        );
      }
    }));
  });
});
