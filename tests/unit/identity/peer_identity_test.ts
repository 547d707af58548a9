import { describe, expect, test } from "bun:test";
import { readCertificate } from "../../../src/identity/certificate_fields.ts";
import { derElement } from "../../../src/identity/der_writer.ts";
import {
  type PeerExpectation,
  type PeerHandshake,
  peerIdentity,
} from "../../../src/identity/peer_identity.ts";
import { CLIENT_ONLY, type OddLeaf, SERVER_ONLY, TestAuthority, x509 } from "./odd_certificates.ts";

const ID = "spiffe://mesh.test/ns/shop/sa/cart";
const uri = (value: string) => ({ type: "url", value }) as const;
const dns = (value: string) => ({ type: "dns", value }) as const;
const authority = await TestAuthority.make();

async function judge(
  leaf: OddLeaf,
  expected: Partial<PeerExpectation> = {},
  error: PeerHandshake["error"] = null,
) {
  const { der } = await authority.issue(leaf);
  return peerIdentity(
    { error, certificate: { raw: der } },
    { peer: "client", trustDomain: "mesh.test", spiffeId: null, nowMs: Date.now(), ...expected },
  );
}

async function refusal(leaf: OddLeaf, expected: Partial<PeerExpectation> = {}): Promise<string> {
  const identity = await judge(leaf, expected);
  if (identity.ok) throw new Error(`accepted as ${identity.spiffeId}`);
  expect(identity.detail.length).toBeGreaterThan(10);
  return identity.code;
}

function tlsError(code: string): Error & { code: string } {
  return Object.assign(new Error("TLS says\nno"), { code });
}

describe("peerIdentity()", () => {
  test("peerIdentity() returns the SPIFFE ID of a good leaf, in either role", async () => {
    expect(await judge({ names: [uri(ID)] })).toMatchObject({ ok: true, spiffeId: ID });
    expect(await judge({ names: [uri(ID)] }, { peer: "server", spiffeId: ID })).toMatchObject({ ok: true });
  });

  test("peerIdentity() takes a differing host name from a server alone", async () => {
    const error = tlsError("ERR_TLS_CERT_ALTNAME_INVALID");
    expect(await judge({ names: [uri(ID)] }, { peer: "server" }, error)).toMatchObject({ ok: true });
    expect(await judge({ names: [uri(ID)] }, { peer: "client" }, error)).toMatchObject({
      code: "handshake_failed",
    });
  });

  test("peerIdentity() refuses whatever else TLS reports, in one line", async () => {
    for (
      const [code, hint] of [
        ["CERT_SIGNATURE_FAILURE", ""],
        ["SELF_SIGNED_CERT_IN_CHAIN", "; its root is none of those that are trusted here"],
        ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "; its root is none of those that are trusted here"],
        ["CERT_HAS_EXPIRED", "; is this machine's clock right?"],
        ["CERT_NOT_YET_VALID", "; is this machine's clock right?"],
        ["EPROTO", ""],
      ] as const
    ) {
      for (const peer of ["client", "server"] as const) {
        const identity = await judge({ names: [uri(ID)] }, { peer }, tlsError(code));
        expect(identity).toMatchObject({ ok: false, code: "handshake_failed" });
        expect((identity as { detail: string }).detail).toBe(
          `TLS does not trust the peer's certificate: ${code}${hint}`,
        );
      }
    }
  });

  test("peerIdentity() refuses a peer without a certificate, whatever TLS says", () => {
    const expected = { peer: "client", trustDomain: "mesh.test", spiffeId: null, nowMs: 0 } as const;
    for (const certificate of [undefined, null, {}]) {
      for (const error of [null, tlsError("UNABLE_TO_GET_ISSUER_CERT")]) {
        expect(peerIdentity({ error, certificate }, expected)).toMatchObject({ code: "certificate_missing" });
      }
    }
  });

  test("peerIdentity() refuses DER that is not a certificate", () => {
    const expected = { peer: "client", trustDomain: "mesh.test", spiffeId: null, nowMs: 0 } as const;
    const raw = derElement(0x30, new Uint8Array(3));
    expect(peerIdentity({ error: null, certificate: { raw } }, expected)).toMatchObject({
      code: "certificate_malformed",
    });
  });

  test("peerIdentity() refuses a certificate before and after its time", async () => {
    const leaf = { names: [uri(ID)], notBeforeMs: 1_000_000_000_000, notAfterMs: 1_000_000_060_000 };
    expect(await refusal(leaf, { nowMs: 999_999_999_999 })).toBe("certificate_not_yet_valid");
    expect(await judge(leaf, { nowMs: 1_000_000_000_000 })).toMatchObject({ ok: true });
    expect(await judge(leaf, { nowMs: 1_000_000_060_000 })).toMatchObject({ ok: true });
    expect(await refusal(leaf, { nowMs: 1_000_000_060_001 })).toBe("certificate_expired");
  });

  test("peerIdentity() refuses a leaf that can sign certificates", async () => {
    const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags;
    expect(await refusal({ names: [uri(ID)], isCa: true })).toBe("certificate_is_ca");
    for (const flag of [keyCertSign, cRLSign]) {
      expect(await refusal({ names: [uri(ID)], usage: digitalSignature | flag })).toBe("certificate_is_ca");
    }
  });

  test("peerIdentity() refuses a leaf that is for something else", async () => {
    expect(await refusal({ names: [uri(ID)], purposes: SERVER_ONLY }, { peer: "client" })).toBe(
      "key_usage_unfit",
    );
    expect(await refusal({ names: [uri(ID)], purposes: CLIENT_ONLY }, { peer: "server" })).toBe(
      "key_usage_unfit",
    );
    expect(await refusal({ names: [uri(ID)], purposes: ["2.5.29.37.0"] })).toBe("key_usage_unfit");
    expect(await refusal({ names: [uri(ID)], purposes: [] })).toBe("key_usage_unfit");
    expect(await refusal({ names: [uri(ID)], usage: x509.KeyUsageFlags.keyAgreement })).toBe(
      "key_usage_unfit",
    );
  });

  test("peerIdentity() reads the identity from the one URI SAN and from nothing else", async () => {
    expect(await refusal({})).toBe("uri_san_missing");
    expect(await refusal({ names: [dns(ID)] })).toBe("uri_san_missing");
    expect(await refusal({ names: [{ type: "email", value: ID }] })).toBe("uri_san_missing");
    expect(await refusal({ names: [dns(`a, URI:${ID}`)] })).toBe("uri_san_missing");
    expect(await refusal({ names: [dns(`a", URI:"${ID}`)] })).toBe("uri_san_missing");
    expect(await refusal({ names: [uri(ID), uri(ID)] })).toBe("uri_san_several");
    expect(await refusal({ names: [uri(ID), uri("spiffe://mesh.test/ns/shop/sa/admin")] })).toBe(
      "uri_san_several",
    );
    const other = dns("spiffe://mesh.test/ns/shop/sa/admin");
    expect(await judge({ names: [other, uri(ID)] })).toMatchObject({ ok: true, spiffeId: ID });
  });

  test("peerIdentity() refuses an otherName that spells a SPIFFE ID", async () => {
    const text = new TextEncoder().encode(ID);
    const oid = derElement(0x06, Uint8Array.of(0x2a, 0x03));
    const names = derElement(0x30, derElement(0xa0, oid, derElement(0xa0, derElement(0x0c, text))));
    expect(await refusal({ more: [new x509.Extension("2.5.29.17", false, names)] })).toBe("uri_san_missing");
  });

  test("peerIdentity() refuses two SAN extensions", async () => {
    const second = new x509.SubjectAlternativeNameExtension([uri("spiffe://mesh.test/ns/shop/sa/admin")]);
    expect(await refusal({ names: [uri(ID)], more: [second] })).toBe("certificate_malformed");
  });

  test("peerIdentity() refuses a URI SAN in any form but the mesh's", async () => {
    const odd = [
      `${ID}\0`,
      `${ID}\0.evil`,
      `${ID} `,
      `${ID}\n`,
      `${ID}/x`,
      `${ID}?a`,
      "SPIFFE://mesh.test/ns/shop/sa/cart",
      "spiffe://MESH.test/ns/shop/sa/cart",
      "spiffe://mesh.test",
      "spiffe://mesh.test/ns/../sa/cart",
      "https://mesh.test/ns/shop/sa/cart",
      `spiffe://mesh.test/ns/shop/sa/${"a".repeat(2048)}`,
    ];
    for (const value of odd) expect(await refusal({ names: [uri(value)] })).toBe("spiffe_id_malformed");
  });

  test("peerIdentity() refuses a foreign trust domain and an unexpected identity", async () => {
    expect(await refusal({ names: [uri("spiffe://mesh.test.evil/ns/shop/sa/cart")] })).toBe(
      "trust_domain_foreign",
    );
    expect(await refusal({ names: [uri(ID)] }, { spiffeId: `${ID}s` })).toBe("spiffe_id_unexpected");
  });

  test("peerIdentity() takes another name of the trust domain for it, in both directions of expectation", async () => {
    const leaf = { names: [uri("spiffe://old.test/ns/shop/sa/cart")] };
    const trustDomainAliases = ["older.test", "old.test"];
    expect(await judge(leaf, { trustDomainAliases })).toMatchObject({
      ok: true,
      spiffeId: "spiffe://old.test/ns/shop/sa/cart",
    });
    expect(await judge(leaf, { trustDomainAliases, spiffeId: ID })).toMatchObject({ ok: true });
    expect(await refusal(leaf, { trustDomainAliases, spiffeId: `${ID}s` })).toBe("spiffe_id_unexpected");
    expect(await refusal(leaf, { trustDomainAliases: ["older.test"] })).toBe("trust_domain_foreign");
    expect(await refusal(leaf)).toBe("trust_domain_foreign");
  });

  test("peerIdentity() writes what the peer sent into one line of the log", async () => {
    // An escape sequence in the 7-bit form, and one in the 8-bit form, which X.509 libraries would not write.
    const eightBit = Uint8Array.from("spiffe://x\x9b31m", (character) => character.charCodeAt(0));
    const names = derElement(0x30, derElement(0x86, eightBit));
    const odd = [
      { names: [uri("spiffe://x\r\n\u001b[31m")] },
      { more: [new x509.Extension("2.5.29.17", false, names)] },
    ];
    for (const leaf of odd) {
      const identity = await judge(leaf);
      expect(identity).toMatchObject({ ok: false, code: "spiffe_id_malformed" });
      expect((identity as { detail: string }).detail).toMatch(/^[\x20-\x7e]+$/);
    }
  });
});

test("peerIdentity() refuses a certificate that was revoked, by its serial number", async () => {
  const authority = await TestAuthority.make();
  const spiffeId = "spiffe://mesh.test/ns/shop/sa/cart";
  const { der } = await authority.issue({ names: [{ type: "url", value: spiffeId }] });
  const own = readCertificate(der).serial;
  const judge = (revoked: string) =>
    peerIdentity({ error: null, certificate: { raw: der } }, {
      peer: "client",
      trustDomain: "mesh.test",
      spiffeId: null,
      nowMs: Date.now(),
      isRevoked: (serial) => serial === revoked,
    });
  expect(judge("4a")).toMatchObject({ ok: true, serial: own });
  expect(judge(own)).toMatchObject({ ok: false, code: "certificate_revoked" });
});
