import { describe, expect, test } from "bun:test";
import { keyKind, keyPairFault } from "../../../src/runtime/key_pair_check.ts";
import { TestAuthority } from "../identity/odd_certificates.ts";

const authority = await TestAuthority.make();
const [pair, other] = await Promise.all([authority.issue({}), authority.issue({})]);
const good = { chain: pair.chain, key: pair.key, roots: authority.roots };

describe("keyPairFault()", () => {
  test("keyPairFault() finds none in a pair, with roots or without", () => {
    expect(keyPairFault(good)).toBeNull();
    expect(keyPairFault({ ...good, roots: "" })).toBeNull();
    expect(keyPairFault({ ...good, chain: pair.chain + authority.roots })).toBeNull();
  });

  test.each([
    [{ chain: "" }, "chain", "the certificate is no PEM certificate"],
    [{ chain: pair.key }, "chain", "the certificate is no PEM certificate"],
    [{ chain: pair.chain.slice(0, 200) }, "chain", "the certificate is no PEM certificate"],
    [{ key: "" }, "key", "the key is no PEM private key"],
    [{ key: pair.chain }, "key", "the key is no PEM private key"],
    [{ key: other.key }, "key", "the key is not that of the certificate"],
    [{ roots: "nothing" }, "roots", "the CA's file is no PEM certificate"],
  ])("keyPairFault() tells what cannot serve: case %#", (broken, part, reason) => {
    expect(keyPairFault({ ...good, ...broken })).toMatchObject({ part, reason });
  });
});

test("keyKind() is that of the certificate's key", () => {
  expect(keyKind(good)).toBe("ec");
});
