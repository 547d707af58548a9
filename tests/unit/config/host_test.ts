import { describe, expect, test } from "bun:test";
import {
  HOST_LENGTH_MAX,
  hostMatches,
  isHostName,
  isWildcardHost,
  resolveHost,
} from "../../../src/config/host.ts";

describe("resolveHost()", () => {
  test("resolveHost() completes a short name with the namespace of the rule", () => {
    expect(resolveHost("recommendation", "tutorial")).toBe("recommendation.tutorial.svc.cluster.local");
  });

  test("resolveHost() leaves names with a dot alone, since Istio does too", () => {
    expect(resolveHost("recommendation.other", "tutorial")).toBe("recommendation.other");
    expect(resolveHost("*.example.com", "tutorial")).toBe("*.example.com");
    expect(resolveHost("*", "tutorial")).toBe("*");
  });

  test("resolveHost() lowers the case", () => {
    expect(resolveHost("API.Example.com", "tutorial")).toBe("api.example.com");
    expect(resolveHost("Recommendation", "tutorial")).toBe("recommendation.tutorial.svc.cluster.local");
  });
});

describe("isHostName()", () => {
  test("isHostName() accepts DNS names in lower case", () => {
    for (const host of ["a", "a.b", "a-b.c1", "_srv.x", "10.com"]) expect(isHostName(host)).toBe(true);
  });

  test("isHostName() refuses everything else", () => {
    for (const host of ["", ".", "a.", ".a", "a..b", "-a", "a-", "A", "a b", "a/b", "a:80", "*.a"]) {
      expect(isHostName(host)).toBe(false);
    }
  });

  test("isHostName() allows 63 characters in a label and 253 in all", () => {
    expect(isHostName("a".repeat(63))).toBe(true);
    expect(isHostName("a".repeat(64))).toBe(false);
    const long = `${"a".repeat(49)}.`.repeat(5);
    expect(isHostName(long + "a".repeat(HOST_LENGTH_MAX - long.length))).toBe(true);
    expect(isHostName(long + "a".repeat(HOST_LENGTH_MAX - long.length + 1))).toBe(false);
  });
});

describe("wildcards", () => {
  test("isWildcardHost() wants the asterisk in front and alone", () => {
    for (const host of ["*", "*.com", "*-v1.example.com"]) expect(isWildcardHost(host)).toBe(true);
    for (const host of ["a", "*a", "a.*", "*.*", "*.", "*-", "**"]) expect(isWildcardHost(host)).toBe(false);
  });

  test("hostMatches() lets a wildcard stand for one label or more, and not for none", () => {
    expect(hostMatches("*.com", "foo.example.com")).toBe(true);
    expect(hostMatches("*.example.com", "example.com")).toBe(false);
    expect(hostMatches("*.example.com", ".example.com")).toBe(false);
    expect(hostMatches("*", "anything")).toBe(true);
  });

  test("hostMatches() compares other names whole", () => {
    expect(hostMatches("a.com", "a.com")).toBe(true);
    expect(hostMatches("a.com", "b.a.com")).toBe(false);
  });
});
