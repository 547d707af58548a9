/** Which keys of a set verify signatures, and that no other gets in. */
import { describe, expect, test } from "bun:test";
import { algorithmsOf, JWKS_KEYS_MAX, JwksError, readJwks, RSA_BITS_MIN } from "../../../src/model/jwks.ts";

const rsa = (bits: number) => {
  const bytes = new Uint8Array(Math.ceil(bits / 8)).fill(255);
  bytes[0] = 255 >> (bytes.length * 8 - bits);
  return { kty: "RSA", kid: "a", n: bytes.toBase64({ alphabet: "base64url", omitPadding: true }), e: "AQAB" };
};
const EC = { kty: "EC", crv: "P-256", x: "AAAA", y: "AAAA" };

function read(...keys: readonly unknown[]) {
  return readJwks(JSON.stringify({ keys }));
}

describe("readJwks()", () => {
  test.each(["", "x", "{}", "[]", "null", '{"keys": {}}'])("%p is none", (text) => {
    expect(() => readJwks(text)).toThrow(JwksError);
  });

  test("keeps public members alone", () => {
    const key = rsa(RSA_BITS_MIN);
    const { keys } = read({
      ...key,
      use: "sig",
      key_ops: ["verify"],
      x5c: ["x"],
      x5u: "https://x",
      kid: "a",
    });
    expect(keys).toEqual([key as never]);
  });

  test.each(
    [
      ["is a shared secret, with which whoever verifies could sign", { kty: "oct", k: "AAAA" }],
      ["is a private one", { ...EC, d: "AAAA" }],
      ["is no object", null],
      ["has no kty of RSA, EC and OKP", { kty: "rsa" }],
      ["has a kid that is no text", { ...EC, kid: 1 }],
      ["is not for signatures (use)", { ...EC, use: "enc" }],
      ["is not for verifying (key_ops)", { ...EC, key_ops: ["sign"] }],
      ["has no y", { ...EC, y: undefined }],
      ["has no x", { ...EC, x: "+/" }],
      ["is on an unknown curve", { ...EC, crv: "secp256k1" }],
      ["is on an unknown curve", { kty: "OKP", crv: "X25519", x: "AAAA" }],
      ["is for another algorithm (alg)", { ...EC, alg: "ES384" }],
      ["is for another algorithm (alg)", { ...rsa(RSA_BITS_MIN), alg: "HS256" }],
      [`has ${RSA_BITS_MIN - 1} bits, and RSA needs ${RSA_BITS_MIN}`, rsa(RSA_BITS_MIN - 1)],
      [`has 24 bits, and RSA needs ${RSA_BITS_MIN}`, { kty: "RSA", n: "AAD___8", e: "AQAB" }],
    ] as [string, unknown][],
  )("a key %s and is left out", (why, key) => {
    const { keys, leftOut } = read(EC, key);
    expect(keys).toHaveLength(1);
    expect(leftOut).toEqual([`key 1 ${why}`]);
  });

  test("so many keys and no more", () => {
    expect(read(...Array<unknown>(JWKS_KEYS_MAX).fill(EC)).keys).toHaveLength(JWKS_KEYS_MAX);
    expect(() => read(...Array<unknown>(JWKS_KEYS_MAX + 1).fill(EC))).toThrow("more than 100 keys");
  });

  test("no algorithm has a shared secret", () => {
    const all = [rsa(RSA_BITS_MIN), EC, { ...EC, crv: "P-384" }, { ...EC, crv: "P-521" }];
    const { keys } = read(...all, { kty: "OKP", crv: "Ed25519", x: "AAAA" });
    expect(keys).toHaveLength(5);
    for (const alg of keys.flatMap(algorithmsOf)) expect(alg).toMatch(/^(RS|PS|ES|Ed)/);
  });
});
