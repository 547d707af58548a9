import { expect, test } from "bun:test";
import { compareTexts } from "../../../src/lib/compare_texts.ts";

test("compareTexts() sorts by code units, as no language does", () => {
  expect(["b", "ä", "a", "B", "", "a"].sort(compareTexts)).toEqual(["", "B", "a", "a", "b", "ä"]);
  expect(compareTexts("a", "a")).toBe(0);
});
