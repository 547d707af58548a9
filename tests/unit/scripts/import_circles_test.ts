import { expect, test } from "bun:test";
import { importCircles } from "../../../scripts/import_circles.ts";

function circles(imports: Record<string, string[]>): string[] {
  return importCircles(new Map(Object.entries(imports))).map((files) => files.join(" "));
}

test("importCircles() finds none where all imports lead down", () => {
  expect(circles({ a: ["b", "c"], b: ["c", "d"], c: ["d"], d: ["elsewhere"] })).toEqual([]);
});

test("importCircles() finds files that import each other, straight and by way of others", () => {
  expect(circles({ a: ["b"], b: ["c", "a"], c: [] })).toEqual(["a b a"]);
  expect(circles({ top: ["a"], a: ["b"], b: ["c"], c: ["a", "d"], d: [] })).toEqual(["a b c a"]);
  expect(circles({ a: ["a"] })).toEqual(["a a"]);
});

test("importCircles() finds a circle behind one that it has seen", () => {
  expect(circles({ a: ["b"], b: ["a", "c"], c: ["d"], d: ["c"] })).toEqual(["a b a", "c d c"]);
});
