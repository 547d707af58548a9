import { describe, expect, test } from "bun:test";
import {
  CSR_CHARACTERS_MAX,
  publicKeyOfRequest,
  RSA_BITS_MAX,
  RSA_BITS_MIN,
} from "../../../src/citadel/certificate_request.ts";
import { createCsr } from "../../../src/identity/csr.ts";
import { derElement as der } from "../../../src/identity/der_writer.ts";
import { generateKeyPair } from "../../../src/identity/key_pair.ts";
import { encodePem } from "../../../src/identity/pem.ts";
import { x509 } from "../identity/odd_certificates.ts";
import { openssl } from "../identity/openssl.ts";

const refused = { code: "csr_refused", message: "The certificate request was refused" };

function opensslCsr(...key: string[]): string {
  const args = ["req", "-new", "-nodes", "-keyout", "key.pem", "-subj", "/CN=x", "-newkey"];
  const output = openssl([...args, ...key], {});
  return output.slice(output.indexOf("-----BEGIN CERTIFICATE REQUEST"));
}

describe("publicKeyOfRequest()", () => {
  test("publicKeyOfRequest() returns the key of our own requests", async () => {
    const keys = await generateKeyPair();
    const spki = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
    expect(await publicKeyOfRequest(await createCsr(keys))).toEqual(spki);
  });

  test("publicKeyOfRequest() takes P-256, P-384 and RSA from 2048 bits, as openssl makes them", async () => {
    for (
      const key of [["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], [
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-384",
      ], [`rsa:${RSA_BITS_MIN}`]]
    ) {
      expect((await publicKeyOfRequest(opensslCsr(...key))).length).toBeGreaterThan(80);
    }
  });

  test("publicKeyOfRequest() refuses weak and strange keys", async () => {
    const odd: [string[], string][] = [
      [[`rsa:${RSA_BITS_MIN - 8}`], "RSA key has 2040 bits"],
      [["rsa:1024"], "RSA key has 1024 bits"],
      [["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], "P-521"],
      [["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"], ""],
      [["ed25519"], "its key is Ed25519"],
      [["rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"], "its key is RSA-PSS"],
      [
        ["ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
        "its key is on a curve without a name",
      ],
    ];
    for (const [key, why] of odd) {
      await expect(publicKeyOfRequest(opensslCsr(...key))).rejects.toMatchObject({
        ...refused,
        detail: expect.stringContaining(why),
      });
    }
  });

  test("publicKeyOfRequest() refuses an RSA key above the limit before it checks the signature", async () => {
    const csr = (bits: number) => {
      // Modulus and exponent of that size, made up: nothing is computed with them.
      const modulus = new Uint8Array(bits / 8 + 1).fill(0xff);
      modulus[0] = 0;
      const integer = (content: Uint8Array) => der(0x02, content);
      const key = der(0x30, integer(modulus), integer(Uint8Array.of(1, 0, 1)));
      const rsa = der(0x30, der(0x06, Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1)), der(0x05));
      const spki = der(0x30, rsa, der(0x03, Uint8Array.of(0), key));
      const info = der(0x30, integer(Uint8Array.of(0)), der(0x30), spki, der(0xa0));
      const algorithm = der(
        0x30,
        der(0x06, Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11)),
        der(0x05),
      );
      return encodePem(
        "CERTIFICATE REQUEST",
        der(0x30, info, algorithm, der(0x03, new Uint8Array(bits / 8 + 1))),
      );
    };
    await expect(publicKeyOfRequest(csr(RSA_BITS_MAX))).rejects.toMatchObject({
      detail: expect.not.stringContaining("bits"),
    });
    await expect(publicKeyOfRequest(csr(RSA_BITS_MAX + 8))).rejects.toMatchObject({
      detail: expect.stringContaining(`RSA key has ${RSA_BITS_MAX + 8} bits`),
    });
  });

  test("publicKeyOfRequest() refuses a request that another key signed", async () => {
    const request = new x509.Pkcs10CertificateRequest(await createCsr(await generateKeyPair()));
    const bytes = new Uint8Array(request.rawData);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    await expect(publicKeyOfRequest(encodePem("CERTIFICATE REQUEST", bytes))).rejects.toMatchObject(refused);
  });

  test("publicKeyOfRequest() has a limit on characters", async () => {
    const csr = await createCsr(await generateKeyPair());
    expect((await publicKeyOfRequest(csr.padEnd(CSR_CHARACTERS_MAX))).length).toBe(91);
    for (const size of [CSR_CHARACTERS_MAX + 1, 1_000_000]) {
      await expect(publicKeyOfRequest(csr.padEnd(size))).rejects.toMatchObject({
        ...refused,
        detail: expect.stringContaining("longer than"),
      });
    }
  });

  test("publicKeyOfRequest() refuses garbage of every kind", async () => {
    const csr = await createCsr(await generateKeyPair());
    const label = "CERTIFICATE REQUEST";
    const odd = [
      "",
      "garbage",
      csr + csr,
      csr.slice(0, 200),
      csr.replaceAll(label, "CERTIFICATE"),
      encodePem(label, new Uint8Array(100)),
      encodePem(label, Uint8Array.of(0x30, 0x80, 0, 0)),
      // As deep as the limit allows.
      encodePem(label, new Uint8Array(11_000).map((_, at) => at % 2 === 0 ? 0x30 : 0x80)),
    ];
    for (const text of odd) await expect(publicKeyOfRequest(text)).rejects.toMatchObject(refused);
    await expect(publicKeyOfRequest(encodePem(label, new Uint8Array(100)))).rejects.toMatchObject({
      detail: "The certificate request was refused: it cannot be read: its bytes are no DER of a request",
    });
  });
});
