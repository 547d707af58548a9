import { describe, expect, test } from "bun:test";
import { exportToOf, isVisible, sharesViewers } from "../../../src/config/visibility.ts";

describe("exportTo", () => {
  test("nothing said is everybody; a dot is the resource's own namespace", () => {
    expect(isVisible([], "a", "b")).toBe(true);
    expect(isVisible(["*"], "a", "b")).toBe(true);
    expect(isVisible(["."], "a", "a")).toBe(true);
    expect(isVisible(["."], "a", "b")).toBe(false);
    expect(isVisible(["~"], "a", "a")).toBe(false);
    expect(isVisible(["b"], "a", "a")).toBe(false);
  });

  test("a Service says it in an annotation, with commas", () => {
    expect(exportToOf({ "networking.istio.io/exportTo": "., shop" })).toEqual([".", "shop"]);
    expect(exportToOf({})).toEqual([]);
  });

  test("two resources meet where some namespace sees both", () => {
    const meet = (a: readonly string[], b: readonly string[]) =>
      sharesViewers({ namespace: "a", exportTo: a }, { namespace: "b", exportTo: b });
    expect(meet([], [])).toBe(true);
    expect(meet([], ["~"])).toBe(false);
    expect(meet(["."], [])).toBe(true);
    expect(meet(["."], ["."])).toBe(false);
    expect(meet(["."], ["a"])).toBe(true);
  });
});
