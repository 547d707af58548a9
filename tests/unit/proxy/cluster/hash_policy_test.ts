/** What a request is hashed by. */
import { describe, expect, test } from "bun:test";
import { keyHash } from "../../../../src/lib/hash.ts";
import { Prng } from "../../../../src/lib/prng.ts";
import type { HashKey } from "../../../../src/model/cluster.ts";
import { NO_KEY } from "../../../../src/proxy/cluster/balancer/balancer.ts";
import { HashPolicy } from "../../../../src/proxy/cluster/hash_policy.ts";
import { requestHead } from "../request_head.ts";

function keyOf(keys: HashKey[], headers: string[] = [], path = "/", sourceIp: string | null = null) {
  return new HashPolicy(keys, new Prng(1)).keyOf(requestHead({ authority: "shop", path, headers }), sourceIp);
}

const cookie = (more: Partial<HashKey & { type: "cookie" }> = {}): HashKey => ({
  type: "cookie",
  name: "user",
  path: null,
  ttlMs: null,
  attributes: [],
  ...more,
});

const user: HashKey = { type: "header", name: "x-user" };
const id: HashKey = { type: "query", name: "id" };

describe("HashPolicy", () => {
  test("keyOf() hashes the header, and an empty one as well", () => {
    expect(keyOf([user], ["x-user", "jason"])).toEqual({ key: keyHash("jason"), setCookie: null });
    expect(keyOf([user], ["x-user", ""]).key).toBe(keyHash(""));
    expect(keyOf([{ type: "header", name: ":authority" }]).key).toBe(keyHash("shop"));
  });

  test.each([
    ["/?id=7", "7"],
    ["/?a=1&id=7&id=8", "7"],
    ["/?id", ""],
    ["/?id=a=b", "a=b"],
    ["/?xid=7&id=%37", "%37"],
  ])("keyOf() hashes the first query parameter of the name: %s", (path, value) => {
    expect(keyOf([id], [], path).key).toBe(keyHash(value));
  });

  test.each([
    [["cookie", "user=7"], "7"],
    [["cookie", "a=1; user=7;b=2"], "7"],
    [["cookie", "a=1", "cookie", 'user="7"'], "7"],
    [["cookie", "user=a=b"], "a=b"],
  ])("keyOf() hashes the cookie: %p", (headers, value) => {
    expect(keyOf([cookie()], headers)).toEqual({ key: keyHash(value), setCookie: null });
  });

  test("keyOf() hashes the address of the source", () => {
    expect(keyOf([{ type: "sourceIp" }], [], "/", "192.0.2.9").key).toBe(keyHash("192.0.2.9"));
  });

  test("keyOf() has no key for a request that has nothing to be hashed by", () => {
    for (const one of [user, id, cookie(), { type: "sourceIp" } as const]) {
      expect(keyOf([one], ["cookie", "users=7; xuser=1; user"], "/?ids=1")).toEqual({
        key: NO_KEY,
        setCookie: null,
      });
    }
    expect(keyOf([]).key).toBe(NO_KEY);
  });

  test("keyOf() takes all that are there together, in order", () => {
    const both = keyOf([user, id], ["x-user", "jason"], "/?id=7").key;
    expect(both).not.toBe(keyOf([id, user], ["x-user", "jason"], "/?id=7").key);
    expect(both).not.toBe(keyHash("7"));
    expect(both).toBeWithin(0, 2 ** 32);
    expect(keyOf([user, id], [], "/?id=7").key).toBe(keyHash("7"));
  });

  test("keyOf() hands out a cookie to who has none, and hashes it as if it had come", () => {
    const { key, setCookie } = keyOf([cookie({ ttlMs: 60_000 })]);
    const value = /^user="([0-9a-f]{16})"; Max-Age=60; HttpOnly$/.exec(setCookie as string)?.[1] as string;
    expect(key).toBe(keyHash(value));
    expect(keyOf([cookie({ ttlMs: 60_000 })], ["cookie", `user="${value}"`])).toEqual({
      key,
      setCookie: null,
    });
  });

  test.each([
    [{ ttlMs: 0 }, ""],
    [{ ttlMs: 1_500, path: "/shop" }, "; Max-Age=2; Path=/shop"],
    [
      { ttlMs: 0, path: "", attributes: [["SameSite", "Strict"], ["Secure", ""]] as [string, string][] },
      "; SameSite=Strict; Secure",
    ],
  ])("keyOf() writes the cookie as Envoy does: %p", (more, rest) => {
    expect(keyOf([cookie(more)]).setCookie).toMatch(/^user="[0-9a-f]{16}"/);
    expect(keyOf([cookie(more)]).setCookie).toEndWith(`"${rest}; HttpOnly`);
  });
});
