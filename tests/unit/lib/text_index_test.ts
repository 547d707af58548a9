import { describe, expect, test } from "bun:test";
import { TextIndex, type TextKey } from "../../../src/lib/text_index.ts";

const KEYS: readonly TextKey[] = [
  { type: "suffix", value: ".json" },
  { type: "exact", value: "/a.json" },
  { type: "prefix", value: "/a" },
  { type: "prefix", value: "" },
];

function indexOfKeys(): TextIndex {
  const index = new TextIndex();
  for (const [item, key] of KEYS.entries()) index.add(key, item);
  return index;
}

describe("TextIndex", () => {
  test.each([
    ["/a.json", [0, 1, 2, 3]],
    ["/b.json", [0, 3]],
    ["/a", [2, 3]],
    ["json", [3]],
    ["", [3]],
  ])("of %p asks the items %p alone", (text, expected) => {
    const asked: number[] = [];
    const items = KEYS.map((_, item) => item);
    const takes = (item: number) => {
      asked.push(item);
      return false;
    };
    expect(indexOfKeys().find(text, KEYS.length, null, items, takes)).toBe(KEYS.length);
    expect(asked.sort()).toEqual(expected);
  });

  test("gives the first that takes it, below the limit", () => {
    const items = [false, true, true, true];
    const find = (limit: number) => indexOfKeys().find("/a.json", limit, null, items, (takes) => takes);
    expect([find(4), find(1)]).toEqual([1, 1]);
  });
});
