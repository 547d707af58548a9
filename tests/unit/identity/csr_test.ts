import { expect, test } from "bun:test";
import { createCsr } from "../../../src/identity/csr.ts";
import { generateKeyPair } from "../../../src/identity/key_pair.ts";
import { encodePem } from "../../../src/identity/pem.ts";
import { x509 } from "./odd_certificates.ts";
import { openssl } from "./openssl.ts";

test("createCsr() makes a request that openssl verifies, with the key and nothing else in it", async () => {
  const keys = await generateKeyPair();
  const csr = await createCsr(keys);
  const text = openssl(["req", "-in", "csr.pem", "-verify", "-noout", "-text", "-pubkey"], {
    "csr.pem": csr,
  });
  expect(text).toContain("verify OK");
  expect(text).toMatch(/Subject: *\n/);
  expect(text).not.toContain("Alternative Name");
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  expect(text).toContain(encodePem("PUBLIC KEY", spki).trim());
});

test("createCsr() writes every signature in valid DER, also with short or high scalars", async () => {
  const keys = await generateKeyPair();
  // One in 128 signatures has a scalar with a leading zero octet.
  const all: string[] = [];
  for (let i = 0; i < 400; i++) all.push(await createCsr(keys));
  for (const csr of all) expect(await new x509.Pkcs10CertificateRequest(csr).verify()).toBe(true);
});
