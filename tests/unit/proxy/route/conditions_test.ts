/** Istio's HTTPMatchRequest, field by field, with its traps. */
import { describe, expect, test } from "bun:test";
import {
  type NamedMatch,
  NO_CONDITIONS,
  type RouteMatch,
  type StringMatch,
} from "../../../../src/model/route.ts";
import type { RequestHead } from "../../../../src/proxy/exchange.ts";
import { requestAuthOf } from "../../../../src/proxy/jwt/request_auth.ts";
import { compileConditions } from "../../../../src/proxy/route/conditions.ts";
import { compileStringMatch } from "../../../../src/proxy/route/string_matcher.ts";

const REQUEST: RequestHead = {
  method: "GET",
  scheme: "http",
  authority: "Shop:80",
  path: "/api/v1?a=1&b&a=2&c=",
  headers: ["x-role", "user", "x-empty", "", "x-role", "admin"],
  bodyLength: 0,
};
const exact = (value: string): StringMatch => ({ type: "exact", value });
const prefix = (value: string): StringMatch => ({ type: "prefix", value });
const regex = (value: string): StringMatch => ({ type: "regex", value });
const present: StringMatch = { type: "present" };
const named = (name: string, match: StringMatch): NamedMatch[] => [{ name, match }];

/** Whether all conditions hold; when not, each that does not says why. */
function holds(match: Partial<RouteMatch>, request: Partial<RequestHead> = {}): boolean {
  const head = { ...REQUEST, ...request };
  const failing = compileConditions({ ...NO_CONDITIONS, ...match }).filter((one) => !one.holds(head));
  for (const one of failing) expect(one.whyNot(head)).toMatch(/\S.{10}/);
  return failing.length === 0;
}

describe("compileConditions()", () => {
  test("compileConditions() holds for everything when nothing is asked", () => {
    expect(holds({})).toBe(true);
  });

  test.each<[string, Partial<RouteMatch>, boolean]>([
    ["a prefix is one of characters, not of segments", { path: prefix("/ap") }, true],
    ["the path has no query", { path: exact("/api/v1") }, true],
    ["the query is no part of the path", { path: regex(".*a=1.*") }, false],
    ["a regex matches as a whole", { path: regex("/api") }, false],
    ["a regex that matches as a whole", { path: regex("/api/v[0-9]+") }, true],
    ["case matters", { path: prefix("/API") }, false],
    ["case is ignored on demand", { path: prefix("/API"), ignorePathCase: true }, true],
    ["and for exact", { path: exact("/Api/V1"), ignorePathCase: true }, true],
    ["but never for a regex", { path: regex("/API/.*"), ignorePathCase: true }, false],
    ["a regex may ignore case itself", { path: regex("(?i)/API/.*") }, true],
    ["the method", { method: exact("GET") }, true],
    ["the method's case", { method: exact("get") }, false],
    ["the scheme", { scheme: exact("http") }, true],
    ["the authority as it was written", { authority: exact("Shop:80") }, true],
    ["the authority's case", { authority: exact("shop:80") }, false],
    ["all of them", { method: exact("GET"), path: exact("/other") }, false],
  ])("compileConditions(): %s", (_what, match, expected) => {
    expect(holds(match)).toBe(expected);
  });

  test.each<[string, NamedMatch[], boolean]>([
    ["presence", named("x-role", present), true],
    ["presence of an empty value", named("x-empty", present), true],
    ["absence", named("x-none", present), false],
    ["nothing matches what is not there", named("x-none", exact("")), false],
    ["nor does a regex", named("x-none", regex(".*")), false],
    // As Envoy does since CVE-2020-25017: repeated fields are one list.
    ["repeated fields are one list", named("x-role", exact("user,admin")), true],
    ["and not the first of them", named("x-role", exact("user")), false],
    ["nor the last", named("x-role", exact("admin")), false],
    ["a prefix of the list", named("x-role", prefix("user")), true],
    ["a regex over the list", named("x-role", regex(".*admin")), true],
  ])("headers: %s", (_what, headers, expected) => {
    expect(holds({ headers })).toBe(expected);
  });

  test.each<[string, NamedMatch[], boolean]>([
    ["a missing header counts as the empty string", named("x-none", exact("")), false],
    ["so a prefix of nothing excludes it too", named("x-none", prefix("")), false],
    ["and another value does not", named("x-none", exact("a")), true],
    ["presence means that it must be absent", named("x-none", present), true],
    ["and a header that is there fails", named("x-empty", present), false],
    ["a value that is there", named("x-role", regex(".*admin.*")), false],
    ["another value", named("x-role", exact("guest")), true],
  ])("withoutHeaders: %s", (_what, withoutHeaders, expected) => {
    expect(holds({ withoutHeaders })).toBe(expected);
  });

  test.each<[string, NamedMatch[], boolean]>([
    ["the first of several", named("a", exact("1")), true],
    ["not the second", named("a", exact("2")), false],
    ["a parameter without a value is empty", named("b", exact("")), true],
    ["and present", named("b", present), true],
    ["one that is not there", named("d", present), false],
    ["names keep their case", named("A", present), false],
  ])("queryParams: %s", (_what, queryParams, expected) => {
    expect(holds({ queryParams })).toBe(expected);
  });

  test("compileConditions() holds in linear time for a regex that would backtrack", () => {
    for (const value of ["(a+)+$", "/(a+)+b", "/(a|aa)+!", "(.*)(.*)(.*)x"]) {
      const [text, times] = [`/${"a".repeat(50_000)}!`, [] as number[]];
      for (let round = 0; round < 5; round++) {
        const startedMs = performance.now();
        holds({ path: regex(value) }, { path: text });
        times.push(performance.now() - startedMs);
      }
      // The goal; what backtracks takes longer than the universe is old.
      expect(Math.min(...times)).toBeLessThan(50);
    }
  });
});

describe("compileStringMatch()", () => {
  test("compileStringMatch() never holds for what is not there", () => {
    for (const match of [exact(""), prefix(""), regex(".*"), present]) {
      expect(compileStringMatch(match).holds(undefined)).toBe(false);
      expect(compileStringMatch(match, true).holds(undefined)).toBe(false);
      expect(compileStringMatch(match).holds("")).toBe(true);
    }
  });

  test("compileStringMatch() takes a literal for what it is", () => {
    expect(compileStringMatch(exact("a.b")).holds("axb")).toBe(false);
    expect(compileStringMatch(prefix("a.b")).holds("axbc")).toBe(false);
    expect(compileStringMatch(regex("a.b")).holds("axb")).toBe(true);
    expect(compileStringMatch(regex("a")).holds("a\n")).toBe(false);
    expect(compileStringMatch(regex("a|b")).holds("ax")).toBe(false);
  });
});

test("a claim is that of a verified token, a list by any of its items, and never a header", () => {
  const auth = requestAuthOf({ group: "staff", realm: { roles: ["a", "bc"] } }, []);
  const claim = (name: string, match: StringMatch) => ({
    headers: named(`@request.auth.claims${name}`, match),
  });
  expect(holds(claim("[group]", exact("staff")), { auth })).toBe(true);
  expect(holds(claim("[group]", exact("Staff")), { auth })).toBe(false);
  expect(holds(claim("[realm][roles]", prefix("b")), { auth })).toBe(true);
  expect(holds(claim("[realm][roles]", regex("b")), { auth })).toBe(false);
  expect(holds(claim("[group]", present), { auth })).toBe(true);
  expect(holds(claim("[other]", present), { auth })).toBe(false);
  const headers = ["@request.auth.claims[group]", "staff"];
  expect(holds(claim("[group]", exact("staff")), { headers })).toBe(false);
  const without = (match: StringMatch) => ({ withoutHeaders: named("@request.auth.claims[group]", match) });
  expect(holds(without(exact("staff")), { auth })).toBe(false);
  expect(holds(without(exact("guest")), { auth })).toBe(true);
  expect(holds(without(exact("staff")))).toBe(true);
  expect(holds(without(present)))
    .toBe(true);
});
