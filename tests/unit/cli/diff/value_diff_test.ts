import { describe, expect, test } from "bun:test";
import { fieldChanges, meantChanges, sameValue } from "../../../../src/cli/diff/value_diff.ts";

describe("fieldChanges()", () => {
  test("fieldChanges() names each field by its path", () => {
    expect(fieldChanges({ a: 1, b: { c: 2, d: 3 } }, { a: 1, b: { c: 4, d: 3 } })).toEqual([
      { field: "b.c", before: 2, after: 4 },
    ]);
  });

  test("fieldChanges() has null for what is not there", () => {
    expect(fieldChanges({ a: 1 }, { b: [2] })).toEqual([
      { field: "a", before: 1, after: null },
      { field: "b", before: null, after: [2] },
    ]);
  });

  test("fieldChanges() compares lists as wholes", () => {
    expect(fieldChanges({ a: [1, 2] }, { a: [1, 3] })).toEqual([{
      field: "a",
      before: [1, 2],
      after: [1, 3],
    }]);
    expect(fieldChanges({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] })).toEqual([]);
  });
});

describe("sameValue()", () => {
  test("sameValue() takes objects with the same fields in another order as equal", () => {
    expect(sameValue({ a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 })).toBe(true);
    expect(sameValue([{ a: 1, b: 2 }], [{ b: 2, a: 1 }])).toBe(true);
    expect(sameValue([1, 2], [2, 1])).toBe(false);
    expect(sameValue({ a: undefined }, {})).toBe(true);
    expect(sameValue({ a: null }, {})).toBe(false);
  });
});

test("meantChanges() leaves out what is written elsewhere and says the same", () => {
  const rule = (line: number, rule: number, sni: string) => ({
    routes: [{ origin: { virtualService: "shop/a", rule, file: "a.yaml", line }, sni }],
    policies: [{ name: "shop/p", file: "p.yaml", line, rules: [{ line, ports: [80] }] }],
  });
  expect(meantChanges(rule(1, 0, "a.test"), rule(2, 1, "a.test"))).toEqual([]);
  expect(meantChanges(rule(1, 0, "a.test"), rule(2, 1, "b.test")).map(({ field }) => field)).toEqual([
    "routes",
  ]);
  const header = (line: string) => ({ edits: [{ set: { line, file: line } }] });
  expect(meantChanges(header("1"), header("2"))).toHaveLength(1);
  const other = rule(1, 0, "a.test");
  other.routes.forEach(({ origin }) => origin.virtualService = "shop/b");
  expect(meantChanges(rule(1, 0, "a.test"), other).map(({ field }) => field)).toEqual(["routes"]);
});
