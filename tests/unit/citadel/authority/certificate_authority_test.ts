import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CertificateAuthority,
  LEAF_LIFE_DEFAULT_MS,
  LEAF_LIFE_MAX_MS,
  LEAF_LIFE_MIN_MS,
} from "../../../../src/citadel/authority/certificate_authority.ts";
import { BACK_DATE_MS } from "../../../../src/citadel/certificate_times.ts";
import { AUTHORITY_FILE, OwnAuthority } from "../../../../src/citadel/authority/own_authority.ts";
import { ROOT_LIFE_MS } from "../../../../src/citadel/authority/root_certificate.ts";
import { encodePrivateKey, generateKeyPair } from "../../../../src/identity/key_pair.ts";
import { peerIdentity } from "../../../../src/identity/peer_identity.ts";
import { decodeOnePem } from "../../../../src/identity/pem.ts";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { privateFiles } from "../../../../src/runtime/private_files.ts";
import { TestAuthority, x509 } from "../../identity/odd_certificates.ts";
import { openssl } from "../../identity/openssl.ts";
import {
  CART,
  failingFiles,
  freshDirectory,
  removeDirectories,
  START_MS,
  TRUST_DOMAIN,
} from "../test_citadel.ts";

afterAll(removeDirectories);

const keys = await generateKeyPair();
const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
const leafRequest = { publicKey, spiffeId: CART.spiffeId, ttlMs: LEAF_LIFE_DEFAULT_MS };

async function open(
  directory: string,
  options: { clock?: ManualClock; trustDomain?: string; files?: typeof privateFiles } = {},
) {
  const { clock = new ManualClock(START_MS), trustDomain = TRUST_DOMAIN, files = privateFiles } = options;
  const { material } = await OwnAuthority.open({ directory, clock, trustDomain, files });
  return await CertificateAuthority.create(material, clock);
}

describe("OwnAuthority.open()", () => {
  test("OwnAuthority.open() makes one file of mode 0600, and loads the same CA again", async () => {
    const directory = freshDirectory();
    const first = await open(directory);
    const again = await open(directory);
    expect(again.roots).toBe(first.roots);
    expect(again.pin).toBe(first.pin);
    expect(readdirSync(directory)).toEqual([AUTHORITY_FILE]);
    expect(statSync(join(directory, AUTHORITY_FILE)).mode & 0o777).toBe(0o600);
  });

  test("OwnAuthority.open() gives all who start at once the same CA", async () => {
    const directory = freshDirectory();
    const all = await Promise.all(Array.from({ length: 10 }, () => open(directory)));
    expect(new Set(all.map((each) => each.pin)).size).toBe(1);
  });

  test("OwnAuthority.open() makes a root that openssl takes for one", async () => {
    const authority = await open(freshDirectory());
    const text = openssl(["x509", "-in", "root.pem", "-noout", "-text"], { "root.pem": authority.roots });
    expect(text).toMatch(/X509v3 Basic Constraints: critical\s+CA:TRUE\n/);
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    expect(text).toMatch(/X509v3 Subject Alternative Name: \s*URI:spiffe:\/\/mesh\.test\n/);
    expect(text).toContain("NIST CURVE: P-256");
    expect(text).toContain("Not After : Jan 12 08:00:00 2037 GMT");
    expect(authority.notAfterMs).toBe(START_MS + ROOT_LIFE_MS);
  });

  test("OwnAuthority.open() leaves no CA or a whole one when the disk fails", async () => {
    for (const when of ["before", "after"] as const) {
      const directory = freshDirectory();
      await expect(open(directory, { files: failingFiles(0, when) })).rejects.toMatchObject({
        code: "failed",
      });
      const found = readdirSync(directory);
      expect(found).toEqual(when === "before" ? [] : [AUTHORITY_FILE]);
      await open(directory);
    }
  });

  test("OwnAuthority.open() refuses a damaged CA, names the file and leaves it alone", async () => {
    const directory = freshDirectory();
    await open(directory);
    const path = join(directory, AUTHORITY_FILE);
    const whole = readFileSync(path, "utf8");
    const [key, certificate] = [
      whole.slice(0, whole.indexOf("-----BEGIN CERT")),
      whole.slice(whole.indexOf("-----BEGIN CERT")),
    ];
    const other = await TestAuthority.make();
    const leaf = await other.issue({});
    const damaged: [string, string][] = [
      ["", "exactly a PRIVATE KEY and then a CERTIFICATE"],
      ["\0".repeat(500), "exactly a PRIVATE KEY and then a CERTIFICATE"],
      [key, "exactly a PRIVATE KEY and then a CERTIFICATE"],
      [certificate, "exactly a PRIVATE KEY and then a CERTIFICATE"],
      [certificate + key, "exactly a PRIVATE KEY and then a CERTIFICATE"],
      [whole + certificate, "stands twice"],
      [whole + key, "a PRIVATE KEY where a CERTIFICATE must stand"],
      [`rollover: renewing\n${whole}`, "exactly a PRIVATE KEY and then a CERTIFICATE"],
      [whole.slice(0, -30), "END line"],
      [key.replace(/M/, "*") + certificate, "not base64"],
      [key + certificate.replace(/\n[^\n]{64}\n/, "\n"), "cannot be read"],
      [key.replace(/\n[^\n]{64}\n/, "\n") + certificate, "not an ECDSA P-256 key"],
      [leaf.key + leaf.chain, "not a CA's"],
      [await encodePrivateKey(other.keys.privateKey) + certificate, "do not belong together"],
      [key + other.roots, "do not belong together"],
      [await encodePrivateKey(other.keys.privateKey) + other.roots, "trust domain none"],
    ];
    for (const [text, why] of damaged) {
      writeFileSync(path, text);
      await expect(open(directory)).rejects.toMatchObject({
        code: "ca_unusable",
        message: expect.stringMatching(new RegExp(`${path}.*${why}`)),
      });
      expect(readFileSync(path, "utf8")).toBe(text);
    }
  });

  test("OwnAuthority.open() refuses the CA of another trust domain", async () => {
    const directory = freshDirectory();
    await open(directory);
    await expect(open(directory, { trustDomain: "mesh.tes" })).rejects.toMatchObject({
      code: "ca_unusable",
      message: expect.stringContaining(`made for trust domain "spiffe://mesh.test", not "spiffe://mesh.tes"`),
    });
  });

  test("OwnAuthority.open() refuses an expired CA", async () => {
    const directory = freshDirectory();
    await open(directory);
    await open(directory, { clock: new ManualClock(START_MS + ROOT_LIFE_MS - 1) });
    const late = open(directory, { clock: new ManualClock(START_MS + ROOT_LIFE_MS) });
    await expect(late).rejects.toMatchObject({
      code: "ca_unusable",
      message: expect.stringMatching(
        / expired at .*Z; set the machine's clock if it is ahead, or move the file away/,
      ),
    });
  });
});

describe("CertificateAuthority.sign()", () => {
  test("CertificateAuthority.sign() issues what openssl verifies for both purposes", async () => {
    const authority = await open(freshDirectory());
    const leaf = await authority.sign(leafRequest);
    const files = { "root.pem": authority.roots, "leaf.pem": leaf.chain };
    for (const purpose of ["sslserver", "sslclient"]) {
      const args = ["verify", "-x509_strict", "-purpose", purpose, "-attime", String(START_MS / 1000)];
      expect(openssl([...args, "-CAfile", "root.pem", "leaf.pem"], files)).toContain("leaf.pem: OK");
    }
    const text = openssl(["x509", "-in", "leaf.pem", "-noout", "-text", "-serial"], files);
    expect(text).toMatch(
      /X509v3 Subject Alternative Name: critical\s+URI:spiffe:\/\/mesh\.test\/ns\/shop\/sa\/cart\n/,
    );
    expect(text).toMatch(
      /Extended Key Usage: \s*TLS Web Server Authentication, TLS Web Client Authentication\n/,
    );
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/X509v3 Basic Constraints: critical\s+CA:FALSE\n/);
    expect(text).toMatch(/Subject: *\n/);
    expect(text).toContain("Not Before: Jan 15 07:55:00 2027 GMT");
    expect(text).toContain("Not After : Jan 16 08:00:00 2027 GMT");
    expect(text.toLowerCase()).toContain(`serial=${leaf.serial}`);
    expect(leaf).toMatchObject({
      notBeforeMs: START_MS - BACK_DATE_MS,
      notAfterMs: START_MS + LEAF_LIFE_DEFAULT_MS,
    });
  });

  test("CertificateAuthority.sign() issues what peerIdentity() accepts in both roles", async () => {
    const leaf = await (await open(freshDirectory())).sign(leafRequest);
    const certificate = { raw: decodeOnePem(leaf.chain, "CERTIFICATE") };
    for (const peer of ["client", "server"] as const) {
      const expected = { peer, trustDomain: TRUST_DOMAIN, spiffeId: CART.spiffeId, nowMs: START_MS };
      expect(peerIdentity({ error: null, certificate }, expected)).toMatchObject({
        ok: true,
        serial: leaf.serial,
      });
    }
  });

  test("CertificateAuthority.sign() never repeats a serial number", async () => {
    const directory = freshDirectory();
    const serials = new Set<string>();
    for (let i = 0; i < 5; i++) {
      const authority = await open(directory);
      for (let k = 0; k < 20; k++) serials.add((await authority.sign(leafRequest)).serial);
    }
    expect(serials.size).toBe(100);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/);
  });

  test("CertificateAuthority.sign() has limits on the life of a leaf", async () => {
    const authority = await open(freshDirectory());
    for (const ttlMs of [LEAF_LIFE_MIN_MS, LEAF_LIFE_MAX_MS]) {
      expect((await authority.sign({ ...leafRequest, ttlMs })).notAfterMs).toBe(START_MS + ttlMs);
    }
    for (const ttlMs of [LEAF_LIFE_MIN_MS - 1, LEAF_LIFE_MAX_MS + 1, 0, -1, NaN]) {
      await expect(authority.sign({ ...leafRequest, ttlMs })).rejects.toMatchObject({
        code: "request_invalid",
      });
    }
  });

  test("CertificateAuthority.sign() back-dates a short-lived leaf by a tenth of its life", async () => {
    const leaf = await (await open(freshDirectory())).sign({ ...leafRequest, ttlMs: 60_000 });
    expect(leaf.notBeforeMs).toBe(START_MS - 6_000);
  });

  test("CertificateAuthority.sign() ends no leaf after its root", async () => {
    const clock = new ManualClock(START_MS);
    const authority = await open(freshDirectory(), { clock });
    clock.advance(ROOT_LIFE_MS - 1_000_000);
    expect((await authority.sign(leafRequest)).notAfterMs).toBe(authority.notAfterMs);
  });

  test("CertificateAuthority.sign() is found among several roots", async () => {
    const [one, two] = [await open(freshDirectory()), await open(freshDirectory())];
    const leaf = await two.sign(leafRequest);
    const files = { "roots.pem": one.roots + two.roots, "leaf.pem": leaf.chain };
    const time = String(START_MS / 1000);
    expect(openssl(["verify", "-attime", time, "-CAfile", "roots.pem", "leaf.pem"], files)).toContain("OK");
    expect(new x509.X509Certificate(one.roots).subject).not.toBe(new x509.X509Certificate(two.roots).subject);
  });
});
