import { describe, expect, test } from "bun:test";
import { canonicalJson, contentHash } from "../../../src/lib/hash.ts";

describe("contentHash()", () => {
  test("contentHash() does not depend on the order of keys", () => {
    expect(contentHash({ a: 1, b: { c: 2, d: 3 } })).toBe(contentHash({ b: { d: 3, c: 2 }, a: 1 }));
  });

  test("contentHash() differs for the order of a list, for null and for an absent key", () => {
    const hashes = [{ a: [1, 2] }, { a: [2, 1] }, { a: null }, {}].map(contentHash);
    expect(new Set(hashes).size).toBe(4);
  });

  test("contentHash() is the SHA-256 of the canonical JSON, cut to 128 bits", () => {
    // printf '{"a":1}' | sha256sum
    expect(contentHash({ a: 1 })).toBe("015abd7f5cc57a2dd94b7590f04ad808");
  });
});

test("canonicalJson() reads back as the same value", () => {
  const value = { z: [1, 'ü\n"', null, { b: true, a: false }], a: { y: -0.5 } };
  expect(JSON.parse(canonicalJson(value))).toEqual(value);
  expect(canonicalJson({ b: undefined, a: 1 })).toBe('{"a":1}');
});
