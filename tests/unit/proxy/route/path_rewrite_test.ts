import { describe, expect, test } from "bun:test";
import { NO_CONDITIONS, type StringMatch } from "../../../../src/model/route.ts";
import { LOCAL_REPLY, type LocalReply } from "../../../../src/proxy/local_reply.ts";
import { compilePathRewrite } from "../../../../src/proxy/route/path_rewrite.ts";

function rewritten(path: string, condition: StringMatch | null, value: string): string | LocalReply {
  const match = { ...NO_CONDITIONS, path: condition };
  return compilePathRewrite({ type: "matched", value }).apply(path, match);
}

describe("a rewrite of what was matched", () => {
  const prefix = (value: string): StringMatch => ({ type: "prefix", value });

  test.each([
    ["/api/v1/x?q=1", "/api", "/v2", "/v2/v1/x?q=1"],
    // A raw prefix: no segment has to end there.
    ["/apiary", "/api", "/v2", "/v2ary"],
    ["/api", "/api", "/", "/"],
    ["/API/x", "/api", "/v2", "/v2/x"],
  ])("of %s replaces the prefix %s by %s", (path, matched, value, expected) => {
    expect(rewritten(path, prefix(matched), value)).toBe(expected);
  });

  test("replaces the whole path after an exact match or a regex, and keeps the query", () => {
    for (const type of ["exact", "regex"] as const) {
      expect(rewritten("/a/b?q=/a", { type, value: "/a/.*" }, "/c")).toBe("/c?q=/a");
    }
  });

  test("replaces the first slash where no path was asked for, as in Envoy", () => {
    expect(rewritten("/foo?x", null, "/bar")).toBe("/barfoo?x");
    expect(rewritten("/foo", null, "/bar/")).toBe("/bar/foo");
    expect(compilePathRewrite({ type: "matched", value: "/bar/" }).apply("/foo", null)).toBe("/bar/foo");
  });

  test("always leads to a path from the root", () => {
    expect(rewritten("/api/x", prefix("/api/"), "v2/")).toBe("/v2/x");
    expect(rewritten("/api", prefix("/api"), "")).toBe("/");
  });
});

describe("a rewrite by a regex", () => {
  const apply = (match: string, substitution: string, path: string) =>
    compilePathRewrite({ type: "regex", match, substitution }).apply(path, null);

  test.each([
    ["/([^/]+)/(.*)", "/\\2/\\1", "/a/b?q", "/b/a?q"],
    ["o", "0", "/foo/boo", "/f00/b00"],
    ["/v[0-9]+", "\\0x", "/v12/y", "/v12x/y"],
    ["^/x", "/$1\\\\", "/x", "/$1\\"],
    ["(a)|(b)", "<\\1\\2>", "/ab", "/<a><b>"],
    // The query is no part of the path.
    ["q", "r", "/q?q=q", "/r?q=q"],
    ["nothing", "x", "/a", "/a"],
  ])("%s with %s turns %s into %s", (match, substitution, path, expected) => {
    expect(apply(match, substitution, path)).toBe(expected);
  });

  test("stops where each of many searches would look at all of a long path", () => {
    const ones = (count: number) => `/${"a".repeat(count)}`;
    const longest = 723;
    for (const match of ["a", "a.*b|a"]) {
      expect(apply(match, "c", `${ones(longest)}?q`)).toBe(`/${"c".repeat(longest)}?q`);
      expect(apply(match, "c", ones(longest + 1))).toBe(LOCAL_REPLY.pathTooManyMatches);
    }
    // Nothing, which is found before each character and behind the last, takes the most.
    expect(apply("b*", "", ones(721))).toBe(ones(721));
    expect(apply("b*", "", ones(722))).toBe(LOCAL_REPLY.pathTooManyMatches);
    // What is long and found at once goes on.
    expect(apply("^/(a+)$", "/b", ones(50_000))).toBe("/b");
    expect(apply("a.*b|a", "c", `/x${"y".repeat(50_000)}`)).toBe(`/x${"y".repeat(50_000)}`);
  });

  test("throws for what RE2 does not read", () => {
    expect(() => apply("(?=a)", "b", "/a")).toThrow();
  });
});
