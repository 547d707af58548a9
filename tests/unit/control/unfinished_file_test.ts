import { expect, test } from "bun:test";
import { looksUnfinished } from "../../../src/control/unfinished_file.ts";

const WHOLE = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n";

test.each<[string, string, string | undefined, boolean]>([
  ["breaks off in a line", "a: 1\nb: 2\nc:", WHOLE, true],
  ["breaks off in a line and is new", "a: 1\nb:", undefined, true],
  ["has become empty", "", WHOLE, true],
  ["has nothing but white space left", "\n\n", WHOLE, true],
  ["ends where it went on before", "a: 1\nb: 2\nc: 3\n", WHOLE, true],
  ["begins otherwise and ends where it went on before", "x: 0\nb: 2\nc: 3\nd: 4\n", WHOLE, true],
  ["is new", WHOLE, undefined, false],
  ["is new and empty", "", undefined, false],
  ["was empty", WHOLE, "", false],
  ["is changed in the middle", WHOLE.replace("c: 3", "c: 9"), WHOLE, false],
  ["is changed at its end", WHOLE.replace("e: 5", "e: 9"), WHOLE, false],
  ["has more at its end", `${WHOLE}f: 6\n`, WHOLE, false],
  ["has less in its middle", WHOLE.replace("b: 2\n", ""), WHOLE, false],
  ["never ended with a line's end", "a: 2", "a: 1", false],
])("looksUnfinished() of a text that %s", (_what, text, before, expected) => {
  expect(looksUnfinished(text, before, false)).toBe(expected);
});

test("looksUnfinished() of what was closed cares for broken lines and empty files alone", () => {
  expect(looksUnfinished("a: 1\nb: 2\nc: 3\n", WHOLE, true)).toBe(false);
  expect(looksUnfinished("a: 1\nb: 2\nc:", WHOLE, true)).toBe(true);
  expect(looksUnfinished("", WHOLE, true)).toBe(true);
});
