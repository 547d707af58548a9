import { describe, expect, test } from "bun:test";
import { mismatches } from "../../../../src/cli/expectations/mismatches.ts";

const ANSWER = {
  action: "forward",
  rewrite: null,
  destinations: [{ subset: "v1", weight: 90 }, { subset: "v2", weight: 10 }],
};

describe("mismatches()", () => {
  test("mismatches() asks only for what is named", () => {
    expect(mismatches({ action: "forward" }, ANSWER)).toEqual([]);
    expect(mismatches({ rewrite: null, destinations: [{ weight: 90 }, {}] }, ANSWER)).toEqual([]);
  });

  test("mismatches() names the field that differs", () => {
    expect(mismatches({ destinations: [{}, { subset: "v3" }] }, ANSWER)).toEqual([
      { field: "destinations[1].subset", expected: "v3", actual: "v2" },
    ]);
  });

  test("mismatches() takes lists of other lengths, other types and absent fields as different", () => {
    expect(mismatches({ destinations: [{}] }, ANSWER)).toHaveLength(1);
    expect(mismatches({ destinations: {} }, ANSWER)).toHaveLength(1);
    expect(mismatches({ rewrite: { path: "/" } }, ANSWER)).toHaveLength(1);
    expect(mismatches({ destinations: [{ subst: "v1" }, {}] }, ANSWER)).toEqual([
      { field: "destinations[0].subst", expected: "v1", actual: undefined },
    ]);
  });
});
