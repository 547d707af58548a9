import { describe, expect, test } from "bun:test";
import {
  CERTIFICATE_BYTES_MAX,
  CERTIFICATE_LIST_LENGTH_MAX,
  GENERAL_NAME,
  KEY_USAGE,
  readCertificate,
} from "../../../src/identity/certificate_fields.ts";
import { decodePem } from "../../../src/identity/pem.ts";
import { DerReader } from "../../../src/identity/der_reader.ts";
import { openssl } from "./openssl.ts";
import { TestAuthority, x509 } from "./odd_certificates.ts";

const authority = await TestAuthority.make();
const malformed = expect.objectContaining({ code: "certificate_malformed" });

describe("readCertificate()", () => {
  test("readCertificate() agrees with an X.509 library", async () => {
    const { der } = await authority.issue({
      names: [{ type: "url", value: "spiffe://a/ns/b/sa/c" }, { type: "dns", value: "x" }],
      usage: x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.decipherOnly,
    });
    const theirs = new x509.X509Certificate(der as Uint8Array<ArrayBuffer>);
    const name = (from: x509.Name) => new DerReader(new Uint8Array(from.toArrayBuffer())).read(0x30);
    const key = new Uint8Array(theirs.publicKey.rawData);
    expect(readCertificate(der)).toEqual({
      serial: theirs.serialNumber,
      notBeforeMs: theirs.notBefore.getTime(),
      notAfterMs: theirs.notAfter.getTime(),
      issuer: name(theirs.issuerName),
      subject: name(theirs.subjectName),
      publicKey: new DerReader(key).read(0x30),
      pathLengthMax: undefined,
      subjectKeyIdentifier: undefined,
      authorityKeyIdentifier: undefined,
      isCa: false,
      keyUsage: new Set([KEY_USAGE.digitalSignature, 8]),
      extendedKeyUsage: new Set(["2b06010505070301", "2b06010505070302"]),
      alternativeNames: [
        { tag: GENERAL_NAME.uri, value: "spiffe://a/ns/b/sa/c" },
        { tag: GENERAL_NAME.dns, value: "x" },
      ],
    });
    expect(readCertificate(new Uint8Array(authority.certificate.rawData)).isCa).toBe(true);
  });

  test("readCertificate() reads how long a path may be, and refuses a negative length", async () => {
    const withLength = async (length: number) => {
      const constraints = Uint8Array.of(0x30, 6, 0x01, 1, 0xff, 0x02, 1, length);
      const certificate = await x509.X509CertificateGenerator.createSelfSigned({
        name: "CN=ca",
        keys: authority.keys as CryptoKeyPair,
        signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
        extensions: [new x509.Extension("2.5.29.19", true, constraints)],
      });
      return new Uint8Array(certificate.rawData);
    };
    for (const length of [0, 1, 127]) {
      expect(readCertificate(await withLength(length))).toMatchObject({ isCa: true, pathLengthMax: length });
    }
    const negative = await withLength(0x80);
    expect(() => readCertificate(negative)).toThrow(malformed);
  });

  test("readCertificate() reads what openssl makes", () => {
    const pem = openssl([
      ...[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key.pem",
        "-days",
        "20000",
        "-subj",
        "/CN=x",
      ],
      ...[
        "-addext",
        "subjectAltName=URI:spiffe://a,IP:127.0.0.1",
        "-addext",
        "keyUsage=critical,keyCertSign",
      ],
    ], {});
    const [block] = decodePem(pem);
    const fields = readCertificate(block?.der ?? new Uint8Array());
    expect(fields).toMatchObject({ isCa: true, keyUsage: new Set([5]), extendedKeyUsage: undefined });
    expect(fields.alternativeNames).toEqual([
      { tag: GENERAL_NAME.uri, value: "spiffe://a" },
      { tag: 0x87, value: "7f000001" },
    ]);
  });

  test("readCertificate() has a limit on names", async () => {
    const names = (count: number) =>
      Array.from({ length: count }, () => ({ type: "dns", value: "a" }) as const);
    const { der } = await authority.issue({ names: names(CERTIFICATE_LIST_LENGTH_MAX) });
    expect(readCertificate(der).alternativeNames).toHaveLength(CERTIFICATE_LIST_LENGTH_MAX);
    const { der: above } = await authority.issue({ names: names(CERTIFICATE_LIST_LENGTH_MAX + 1) });
    expect(() => readCertificate(above)).toThrow(malformed);
  });

  test("readCertificate() has a limit on bytes", async () => {
    const sized = async (bytes: number) =>
      (await authority.issue({ more: [new x509.Extension("1.2.3", false, new Uint8Array(bytes))] })).der;
    // Signatures vary by a few bytes, so the size is met by trying.
    let der = await sized(15_000);
    for (let i = 0; der.length !== CERTIFICATE_BYTES_MAX && i < 200; i++) {
      const [extension] = new x509.X509Certificate(der as Uint8Array<ArrayBuffer>).extensions.slice(-1);
      der = await sized((extension?.value.byteLength ?? 0) + CERTIFICATE_BYTES_MAX - der.length);
    }
    expect(der.length).toBe(CERTIFICATE_BYTES_MAX);
    expect(readCertificate(der).isCa).toBe(false);
    expect(() => readCertificate(new Uint8Array([...der, 0]))).toThrow("longer than");
  });

  test("readCertificate() refuses bytes behind the certificate", async () => {
    const { der } = await authority.issue({});
    expect(() => readCertificate(new Uint8Array([...der, 0]))).toThrow(malformed);
  });

  test("readCertificate() refuses key usages that are no bit string", async () => {
    const read = async (...content: number[]) => {
      const more = [new x509.Extension("2.5.29.15", true, Uint8Array.from(content))];
      return readCertificate((await authority.issue({ usage: null, more })).der);
    };
    expect((await read(0x03, 0x02, 0x07, 0x80)).keyUsage).toEqual(new Set([0]));
    expect((await read(0x03, 0x01, 0x00)).keyUsage).toEqual(new Set());
    for (const odd of [[0x03, 0], [0x03, 1, 1], [0x03, 2, 8, 0x80], [0x03, 4, 0, 1, 1, 1], [0x04, 2, 0, 1]]) {
      await expect(read(...odd)).rejects.toThrow(malformed);
    }
  });
});
