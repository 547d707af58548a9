import { describe, expect, test } from "bun:test";
import {
  certificatePin,
  isPin,
  pinnedRoot,
  readTrustBundle,
  TRUST_BUNDLE_CHARACTERS_MAX,
  TRUST_BUNDLE_ROOTS_MAX,
} from "../../../src/identity/trust_bundle.ts";
import { openssl } from "./openssl.ts";
import { TestAuthority } from "./odd_certificates.ts";

const authorities = await Promise.all(
  Array.from({ length: TRUST_BUNDLE_ROOTS_MAX + 1 }, () => TestAuthority.make()),
);
const [one, two] = authorities as [TestAuthority, TestAuthority];
const pin = await certificatePin(new Uint8Array(one.certificate.rawData));
const malformed = { code: "trust_bundle_malformed" };

describe("trust bundles", () => {
  test("certificatePin() is what openssl calls the SHA-256 fingerprint", () => {
    const text = openssl(["x509", "-in", "root.pem", "-noout", "-fingerprint", "-sha256"], {
      "root.pem": one.roots,
    });
    const digits = text.trim().split("=")[1]?.replaceAll(":", "").toLowerCase();
    expect(pin).toBe(`sha256:${digits}`);
    expect(isPin(pin)).toBe(true);
    for (const odd of [pin.toUpperCase(), pin.slice(0, -1), `${pin}0`, pin.slice(7), ""]) {
      expect(isPin(odd)).toBe(false);
    }
  });

  test("readTrustBundle() gives each root once", async () => {
    const roots = await readTrustBundle(one.roots + two.roots + one.roots);
    expect(roots.map((root) => root.pin)).toEqual([
      pin,
      await certificatePin(new Uint8Array(two.certificate.rawData)),
    ]);
  });

  test("readTrustBundle() has a limit on roots and on characters", async () => {
    const all = authorities.map((authority) => authority.roots);
    expect(await readTrustBundle(all.slice(1).join(""))).toHaveLength(TRUST_BUNDLE_ROOTS_MAX);
    await expect(readTrustBundle(all.join(""))).rejects.toMatchObject(malformed);
    expect(await readTrustBundle(one.roots.padEnd(TRUST_BUNDLE_CHARACTERS_MAX))).toHaveLength(1);
    await expect(readTrustBundle(one.roots.padEnd(TRUST_BUNDLE_CHARACTERS_MAX + 1))).rejects.toMatchObject(
      malformed,
    );
  });

  test("readTrustBundle() refuses what is not a CA certificate", async () => {
    const leaf = await one.issue({});
    const odd = ["", "nothing", leaf.chain, one.roots + leaf.key, one.roots.slice(0, 200)];
    for (const pem of odd) await expect(readTrustBundle(pem)).rejects.toMatchObject(malformed);
  });

  test("pinnedRoot() keeps the pinned root and drops what came with it", async () => {
    const kept = await readTrustBundle(await pinnedRoot(two.roots + one.roots, pin));
    expect(kept.map((root) => root.pin)).toEqual([pin]);
  });

  test("pinnedRoot() refuses a bundle without it", async () => {
    await expect(pinnedRoot(two.roots, pin)).rejects.toMatchObject({
      code: "trust_bundle_without_pinned_root",
    });
  });
});
