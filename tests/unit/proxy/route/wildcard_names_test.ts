import { expect, test } from "bun:test";
import { findByWildcard, hasLabelWildcard } from "../../../../src/proxy/route/wildcard_names.ts";

const NAMES = new Map(["*.test", "*.a.test", "*-dev.a.test", "*-x-dev.a.test"].map((name) => [name, name]));

test.each<[string, string | undefined, string | undefined]>([
  ["b.test", "*.test", "*.test"],
  ["b.a.test", "*.a.test", "*.a.test"],
  ["c.b.a.test", "*.a.test", "*.a.test"],
  ["web-dev.a.test", "*-dev.a.test", "*.a.test"],
  ["web-x-dev.a.test", "*-x-dev.a.test", "*.a.test"],
  ["c.web-dev.a.test", "*-dev.a.test", "*.a.test"],
  // A wildcard stands for something.
  ["-dev.a.test", "*.a.test", "*.a.test"],
  ["test", undefined, undefined],
  [".test", undefined, undefined],
])("findByWildcard() of %s finds the longest", (name, withinLabels, ofLabels) => {
  expect(findByWildcard(NAMES, name, true)).toBe(withinLabels as string);
  expect(findByWildcard(NAMES, name, false)).toBe(ofLabels as string);
});

test("hasLabelWildcard() tells whether dashes have to be looked at", () => {
  expect(hasLabelWildcard(NAMES.keys())).toBe(true);
  expect(hasLabelWildcard(["*.test", "a-b.test", "*"])).toBe(false);
});
