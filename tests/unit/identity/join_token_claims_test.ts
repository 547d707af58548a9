import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { IdentityError } from "../../../src/identity/identity_error.ts";
import {
  isHostPort,
  JOIN_TOKEN_CHARACTERS_MAX,
  readJoinToken,
  TOKEN_SOURCES_MAX,
} from "../../../src/identity/join_token_claims.ts";

const claims = {
  jti: "abcdefghijklmnopqrstuvwxyz012345",
  workload: "shop/cart",
  sub: "spiffe://mesh.test/ns/shop/sa/cart",
  controlPlane: "127.0.0.1:15012",
  caPin: `sha256:${"0a".repeat(32)}`,
  iat: 1_800_000_000,
  exp: 1_800_000_900,
};

function tokenOf(payload: unknown): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${encode({ alg: "HS256" })}.${encode(payload)}.c2lnbmF0dXJl`;
}

describe("readJoinToken()", () => {
  test("readJoinToken() reads the claims, whatever white space and other claims there are", () => {
    expect(readJoinToken(`\n ${tokenOf({ ...claims, aud: "é" })}\r\n`, "the token")).toMatchObject(claims);
  });

  test("readJoinToken() reads the group of a token that has one", () => {
    const group = "shop/carts";
    expect(readJoinToken(tokenOf({ ...claims, group }), "the token").group).toBe(group);
    expect(readJoinToken(tokenOf(claims), "the token").group).toBeUndefined();
  });

  test("readJoinToken() reads the networks of a token that has some, up to a limit", () => {
    for (const source of [["10.0.0.0/8"], Array(TOKEN_SOURCES_MAX).fill("2001:db8::/32")]) {
      expect(readJoinToken(tokenOf({ ...claims, source }), "the token").source).toEqual(source);
    }
  });

  test("readJoinToken() says of an empty text that it is empty, and of another what is wrong with it", () => {
    expect(() => readJoinToken(" \n", "the token file t")).toThrow("not hold a join token: it is empty;");
    expect(() => readJoinToken("a.b", "the token file t")).toThrow("three parts between dots");
    expect(() => readJoinToken("a.b.c.d", "the token file t")).toThrow("three parts between dots");
    expect(() => readJoinToken("a.b.c", "the token file t")).toThrow("second part is not JSON in base64url");
  });

  test("readJoinToken() names the claim that is missing or wrong", () => {
    const odd: Record<string, unknown[]> = {
      jti: ["short", "a".repeat(65), "../../../../etc/passwd", 7],
      workload: ["cart", "a/b/c", "Shop/cart", null],
      group: ["carts", "a/b/c", "Shop/carts", null],
      sub: ["cart", "https://mesh.test/ns/shop/sa/cart"],
      controlPlane: ["host", "host:0", "host:65536", "http://host:1", "a b:1"],
      caPin: ["sha256:00", "0a".repeat(32)],
      iat: ["1", -1, 1.5],
      exp: [undefined, Number.MAX_VALUE],
      source: ["10.0.0.0/8", [], ["anywhere"], [7], Array(TOKEN_SOURCES_MAX + 1).fill("10.0.0.0/8")],
    };
    for (const [name, values] of Object.entries(odd)) {
      for (const value of values) {
        const read = () => readJoinToken(tokenOf({ ...claims, [name]: value }), "the token file t");
        expect(read).toThrow(
          `The token file t does not hold a join token: its ${name} is missing or not of the right form`,
        );
      }
    }
  });

  test("readJoinToken() refuses other texts, and never repeats them", () => {
    const secret = "c2VjcmV0LWNhbmFyeQ";
    const odd = [
      "",
      "  \n",
      secret,
      `${secret}.${secret}`,
      `a.${secret}.c`,
      `a.${secret}.c.d`,
      tokenOf([]),
      tokenOf(1),
    ];
    for (const text of odd) {
      try {
        readJoinToken(text, "the token file t");
        throw new Error("accepted");
      } catch (error) {
        expect(error).toBeInstanceOf(IdentityError);
        expect(error).toMatchObject({ code: "join_token_malformed" });
        expect(String(error)).not.toContain(secret);
      }
    }
  });

  test("readJoinToken() has a limit on characters", () => {
    const token = tokenOf(claims);
    const signed = (length: number) => token.padEnd(length, "A");
    expect(readJoinToken(signed(JOIN_TOKEN_CHARACTERS_MAX), "x")).toMatchObject(claims);
    expect(() => readJoinToken(signed(JOIN_TOKEN_CHARACTERS_MAX + 1), "x")).toThrow("longer than");
  });

  test("readJoinToken() throws nothing but IdentityError, whatever the text", () => {
    const part = fc.oneof(fc.string(), fc.json().map((json) => Buffer.from(json).toString("base64url")));
    fc.assert(fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      try {
        readJoinToken(parts.join("."), "x");
      } catch (error) {
        if (!(error instanceof IdentityError)) throw error;
      }
    }));
  });
});

test("isHostPort() takes names, IPv4 and bracketed IPv6 with a port", () => {
  for (const good of ["a:1", "mesh.example.com:15012", "10.0.0.1:65535", "[::1]:15012"]) {
    expect(isHostPort(good)).toBe(true);
  }
  for (const bad of ["a", "a:", ":1", "::1:1", "[::1]", "a:1/x", "a:99999", "a\n:1"]) {
    expect(isHostPort(bad)).toBe(false);
  }
});
