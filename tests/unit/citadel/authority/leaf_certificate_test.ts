import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { leafBody } from "../../../../src/citadel/authority/leaf_certificate.ts";
import { SigningKey } from "../../../../src/citadel/authority/signing_key.ts";
import { readCertificate } from "../../../../src/identity/certificate_fields.ts";
import { DER_TAG, DerReader, hex } from "../../../../src/identity/der_reader.ts";
import { derElement } from "../../../../src/identity/der_writer.ts";
import { CLIENT_ONLY, SERVER_ONLY, x509 } from "../../identity/odd_certificates.ts";

const ALGORITHMS = [
  { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: "SHA-256",
  },
] as const;

/** A CA of each kind of key, as the library makes it. */
const issuers = await Promise.all(ALGORITHMS.map(async (algorithm) => {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${algorithm.name} root, O=Café, C=CH`,
    keys,
    signingAlgorithm: algorithm,
    extensions: [await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
  const fields = readCertificate(new Uint8Array(certificate.rawData));
  return { algorithm, keys, certificate, fields, signer: new SigningKey(keys.privateKey) };
}));

const subjects = await Promise.all(
  issuers.map(async ({ keys }) => new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey))),
);

const SECOND_MS = 1000;
const seconds = fc.integer({ min: 0, max: Date.UTC(2090, 0, 1) / SECOND_MS }).map((at) => at * SECOND_MS);
/** Around the year from which on times have another form. */
const turns = fc.integer({ min: -5, max: 5 }).map((at) => Date.UTC(2050, 0, 1) + at * SECOND_MS);
const orders = fc.record({
  issuer: fc.constantFrom(...issuers),
  publicKey: fc.constantFrom(...subjects),
  serial: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => {
    bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40;
    return bytes;
  }),
  notBeforeMs: fc.oneof(seconds, turns),
  notAfterMs: fc.oneof(seconds, turns),
  spiffeId: fc.stringMatching(/^[a-z0-9.-]{1,200}$/).map((name) => `spiffe://mesh.test/ns/shop/sa/${name}`),
});

/** DER of the body, and of the signature's value. */
function partsOf(certificate: Uint8Array): { body: string; signature: string } {
  const parts = new DerReader(certificate).enter(DER_TAG.sequence);
  const body = hex(derElement(DER_TAG.sequence, parts.read(DER_TAG.sequence)));
  parts.read(DER_TAG.sequence);
  return { body, signature: hex(parts.read(DER_TAG.bitString)) };
}

describe("leafBody()", () => {
  test("leafBody() and SigningKey.seal() write byte for byte what an X.509 library writes", async () => {
    await fc.assert(
      fc.asyncProperty(orders, async ({ issuer, ...order }) => {
        const { algorithm, certificate, keys, fields, signer } = issuer;
        const expected = await x509.X509CertificateGenerator.create({
          subject: "",
          issuer: certificate.subjectName,
          serialNumber: hex(order.serial),
          notBefore: new Date(order.notBeforeMs),
          notAfter: new Date(order.notAfterMs),
          publicKey: new x509.PublicKey(order.publicKey as Uint8Array<ArrayBuffer>),
          signingKey: keys.privateKey,
          signingAlgorithm: algorithm,
          extensions: [
            new x509.SubjectAlternativeNameExtension([{ type: "url", value: order.spiffeId }], true),
            new x509.BasicConstraintsExtension(false, undefined, true),
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
            new x509.ExtendedKeyUsageExtension([...SERVER_ONLY, ...CLIENT_ONLY]),
            await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
          ],
        });
        const body = leafBody({
          ...order,
          algorithm: signer.algorithm,
          issuer: fields.subject,
          keyIdentifier: fields.subjectKeyIdentifier as Uint8Array,
        });
        const sealed = await signer.seal(body);
        const wanted = new Uint8Array(expected.rawData);
        expect(partsOf(sealed).body).toBe(partsOf(wanted).body);
        // Chance is a part of an ECDSA signature; an RSA one is the same each time.
        if (algorithm.name !== "ECDSA") expect(hex(sealed)).toBe(hex(wanted));
        const made = new x509.X509Certificate(sealed);
        expect(await made.verify({ publicKey: keys.publicKey, signatureOnly: true })).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});
