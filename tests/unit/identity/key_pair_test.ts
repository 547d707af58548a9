import { describe, expect, test } from "bun:test";
import { decodePrivateKey, encodePrivateKey, generateKeyPair } from "../../../src/identity/key_pair.ts";
import { encodePem } from "../../../src/identity/pem.ts";
import { openssl } from "./openssl.ts";

describe("key pairs", () => {
  test("encodePrivateKey() writes a P-256 key that openssl finds sound", async () => {
    const pem = await encodePrivateKey((await generateKeyPair()).privateKey);
    const text = openssl(["pkey", "-in", "key.pem", "-check", "-text", "-noout"], { "key.pem": pem });
    expect(text).toContain("Key is valid");
    expect(text).toContain("NIST CURVE: P-256");
  });

  test("decodePrivateKey() gives back both halves", async () => {
    const keys = await generateKeyPair();
    const again = await decodePrivateKey(await encodePrivateKey(keys.privateKey));
    const spki = async (key: CryptoKey) => new Uint8Array(await crypto.subtle.exportKey("spki", key));
    expect(await spki(again.publicKey)).toEqual(await spki(keys.publicKey));
    const algorithm = { name: "ECDSA", hash: "SHA-256" };
    const signature = await crypto.subtle.sign(algorithm, again.privateKey, new Uint8Array(3));
    expect(await crypto.subtle.verify(algorithm, keys.publicKey, signature, new Uint8Array(3))).toBe(true);
  });

  test("decodePrivateKey() refuses other keys and other texts", async () => {
    const p384 = openssl(
      ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-quiet"],
      {},
    );
    const odd = [p384, encodePem("PRIVATE KEY", new Uint8Array(20))];
    for (const pem of odd) {
      await expect(decodePrivateKey(pem)).rejects.toMatchObject({ code: "key_malformed" });
    }
    const pem = await encodePrivateKey((await generateKeyPair()).privateKey);
    for (
      const text of ["", "hello", pem.slice(0, 100), pem + pem, pem.replaceAll("PRIVATE KEY", "CERTIFICATE")]
    ) {
      await expect(decodePrivateKey(text)).rejects.toMatchObject({ code: "pem_malformed" });
    }
  });
});
