import { describe, expect, test } from "bun:test";
import { meantWorkload } from "../../../../src/citadel/platform/claim_rules.ts";
import type { PlatformRule } from "../../../../src/config/enrolment/enrolment_file.ts";

const NO_RULE = { why: "no rule takes it" };
const NAMESPACE = ["kubernetes.io", "namespace"];

function rule(more: Partial<PlatformRule>): PlatformRule {
  return { when: [], workload: null, group: null, ...more };
}

describe("meantWorkload()", () => {
  test("meantWorkload() takes the first rule whose conditions all hold", () => {
    const shop = { claim: NAMESPACE, exact: "shop", prefix: null };
    const rules = [
      rule({ when: [shop, { claim: ["sub"], exact: null, prefix: "web-" }], workload: ["shop/", ["sub"]] }),
      rule({ when: [shop], group: ["shop/others"] }),
    ];
    const claims = (sub: string, namespace = "shop") => ({ sub, "kubernetes.io": { namespace } });
    expect(meantWorkload(claims("web-1"), rules)).toEqual({ workload: "shop/web-1", group: undefined });
    expect(meantWorkload(claims("xweb-1"), rules)).toEqual({ workload: undefined, group: "shop/others" });
    for (const namespace of ["Shop", "shop ", "shopping", ""]) {
      expect(meantWorkload(claims("web-1", namespace), rules)).toEqual(NO_RULE);
    }
  });

  test.each([
    ["a/b"],
    ["../x"],
    [""],
    ["A"],
    ["-a"],
    ["a b"],
    ["a\n"],
    ["é"],
    [7],
    [null],
    [true],
    [["a"]],
    [{ a: 1 }],
    [undefined],
  ])("meantWorkload() puts nothing but a name into a name: %j", (sub) => {
    const why = `rules[0] takes it, and claims[sub] is ${
      typeof sub === "string" ? "no DNS name" : "not there"
    }`;
    expect(meantWorkload({ sub }, [rule({ workload: ["shop/", ["sub"]] })])).toEqual({ why });
  });

  test("meantWorkload() sees a token's own claims alone", () => {
    const claims = { sub: "a", list: ["a"], none: null };
    const paths = [
      ...[["constructor", "name"], ["toString", "name"], ["__proto__", "x"]],
      ...[["sub", "length"], ["list", "length"], ["none", "x"], ["absent", "x"]],
    ];
    for (const claim of paths) {
      const why = `rules[0] takes it, and claims[${claim.join("][")}] is not there`;
      expect(meantWorkload(claims, [rule({ workload: ["shop/", claim] })])).toEqual({ why });
      // Every text begins with nothing.
      const has = { claim, exact: null, prefix: "" };
      expect(meantWorkload(claims, [rule({ when: [has], workload: ["shop/a"] })])).toEqual(NO_RULE);
    }
  });
});
