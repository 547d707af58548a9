import { describe, expect, test } from "bun:test";
import { parseClaimPath, parseClaimTemplate } from "../../../../src/config/enrolment/claim_template.ts";

describe("parseClaimPath()", () => {
  test("parseClaimPath() takes names with dots in brackets", () => {
    expect(parseClaimPath("claims[sub]")).toEqual(["sub"]);
    expect(parseClaimPath("claims[kubernetes.io][pod][name]")).toEqual(["kubernetes.io", "pod", "name"]);
  });

  test.each([
    "",
    "claims",
    "claims[]",
    "claims[a",
    "claims[a]]",
    "claims[a]x",
    "[a]",
    "sub",
    "claims[a]\n[b]",
  ])(
    "parseClaimPath() refuses %j",
    (text) => expect(parseClaimPath(text)).toBeNull(),
  );
});

describe("parseClaimTemplate()", () => {
  test("parseClaimTemplate() takes text, and claims in braces", () => {
    expect(parseClaimTemplate("shop/{claims[pod][name]}-x")).toEqual(["shop/", ["pod", "name"], "-x"]);
    expect(parseClaimTemplate("{claims[a]}/{claims[b]}")).toEqual([["a"], "/", ["b"]]);
    expect(parseClaimTemplate("shop/web")).toEqual(["shop/web"]);
  });

  test.each(["{", "}", "{}", "{sub}", "a{claims[b]", "claims[b]}", "{{claims[a]}}", "{claims[a]}}"])(
    "parseClaimTemplate() refuses %j",
    (text) => expect(parseClaimTemplate(text)).toBeNull(),
  );
});
