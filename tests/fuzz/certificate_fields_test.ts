/** No bytes make the reader of certificates throw anything but its own error, hang, or read past the end. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { readCertificate } from "../../src/identity/certificate_fields.ts";
import { DerReader } from "../../src/identity/der_reader.ts";
import { IdentityError } from "../../src/identity/identity_error.ts";
import { peerIdentity } from "../../src/identity/peer_identity.ts";
import { TestAuthority } from "../unit/identity/odd_certificates.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 20_000);
const ID = "spiffe://mesh.test/ns/shop/sa/cart";
const authority = await TestAuthority.make();
const { der } = await authority.issue({ names: [{ type: "url", value: ID }] });

function readOrRefuse(bytes: Uint8Array): boolean {
  try {
    readCertificate(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    return false;
  }
}

test("readCertificate() throws only IdentityError on any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readOrRefuse(bytes)), {
    numRuns: RUNS,
  });
});

test("readCertificate() throws only IdentityError on mutated certificates", () => {
  const change = fc.tuple(fc.nat(der.length - 1), fc.nat(255));
  const cut = fc.tuple(fc.nat(der.length), fc.nat(20), fc.uint8Array({ maxLength: 20 }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 4 }), fc.option(cut), (changes, splice) => {
      const bytes = [...der];
      for (const [at, octet] of changes) bytes[at] = octet;
      if (splice !== null) bytes.splice(splice[0], splice[1], ...splice[2]);
      readOrRefuse(Uint8Array.from(bytes));
    }),
    { numRuns: RUNS },
  );
});

test("readCertificate() refuses every prefix of a certificate", () => {
  for (let length = 0; length < der.length; length++) {
    expect(readOrRefuse(der.subarray(0, length))).toBe(false);
  }
  expect(readOrRefuse(der)).toBe(true);
});

test("peerIdentity() never sees an identity that the bytes of the SAN do not spell", () => {
  const expected = { peer: "client", trustDomain: "mesh.test", spiffeId: null, nowMs: Date.now() } as const;
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.nat(255), (at, octet) => {
      const raw = Uint8Array.from(der);
      raw[at] = octet;
      const identity = peerIdentity({ error: null, certificate: { raw } }, expected);
      if (identity.ok) {
        expect(
          Buffer.from(raw).includes(`\x86${String.fromCharCode(ID.length)}${identity.spiffeId}`, "latin1"),
        ).toBe(true);
      }
    }),
    { numRuns: RUNS },
  );
});

test("DerReader ends on any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const reader = new DerReader(bytes);
      let read = 0;
      try {
        while (!reader.atEnd) read += 2 + reader.readAny().content.length;
      } catch (error) {
        if (!(error instanceof IdentityError)) throw error;
      }
      expect(read).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns: RUNS },
  );
});
