/** Clients from outside the mesh, by the names in their certificates. */
import { describe, expect, test } from "bun:test";
import { CERTIFICATE_BYTES_MAX, GENERAL_NAME } from "../../../src/identity/certificate_fields.ts";
import {
  forwardedClientCertificate,
  hasAlternativeName,
  readClientCertificate,
} from "../../../src/identity/client_certificate.ts";
import { bytesHash } from "../../../src/lib/hash.ts";
import { TestAuthority } from "./odd_certificates.ts";

const authority = await TestAuthority.make();
const { der } = await authority.issue({
  names: [
    { type: "dns", value: "Client.test" },
    { type: "url", value: "spiffe://other/ns/a/sa/b" },
    { type: "ip", value: "10.1.2.3" },
  ],
});

type Fields = NonNullable<ReturnType<typeof readClientCertificate>>;

function fieldsOf(bytes: Uint8Array): Fields {
  const fields = readClientCertificate(bytes);
  if (fields === undefined) throw new Error("The certificate could not be read");
  return fields;
}

describe("readClientCertificate()", () => {
  test("readClientCertificate() has nothing for what is none, cut off, or longer than any", () => {
    expect(readClientCertificate(der)).toBeDefined();
    expect(readClientCertificate(new Uint8Array(0))).toBeUndefined();
    expect(readClientCertificate(der.subarray(0, der.length - 1))).toBeUndefined();
    expect(readClientCertificate(new Uint8Array(CERTIFICATE_BYTES_MAX + 1))).toBeUndefined();
  });
});

describe("hasAlternativeName()", () => {
  test.each([
    [[], true],
    [["client.TEST"], true],
    [["spiffe://other/ns/a/sa/b"], true],
    [["no.test", "client.test"], true],
    [["spiffe://other/ns/A/sa/b"], false],
    [["lient.test"], false],
    [["10.1.2.3"], false],
    [[""], false],
  ])("hasAlternativeName() asked for %j: %p", (names, expected) => {
    expect(hasAlternativeName(fieldsOf(der), names)).toBe(expected);
  });
});

describe("forwardedClientCertificate()", () => {
  test("forwardedClientCertificate() has the hash and the names that Envoy tells", () => {
    expect(forwardedClientCertificate(der, fieldsOf(der)))
      .toBe(`Hash=${bytesHash(der)};DNS=Client.test;URI=spiffe://other/ns/a/sa/b`);
  });

  test("forwardedClientCertificate() leaves out names that would read as another element or field", () => {
    const evil = ["a;URI=spiffe://mesh", "a,Hash=0", 'a"b', "a\r\nx: y", "a b", "a=b", "ä"].map((value) => ({
      tag: GENERAL_NAME.uri,
      value,
    }));
    const told = forwardedClientCertificate(der, { ...fieldsOf(der), alternativeNames: evil });
    expect(told).toBe(`Hash=${bytesHash(der)}`);
  });
});
