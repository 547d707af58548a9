import { describe, expect, test } from "bun:test";
import {
  certificateInfo,
  nextRenewalTimeMs,
  RENEWAL_PAUSE_MIN_MS,
  renewalTimeMs,
} from "../../../src/identity/certificate_info.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { TestAuthority } from "./odd_certificates.ts";

const authority = await TestAuthority.make();
const ID = "spiffe://mesh.test/ns/shop/sa/cart";

describe("certificateInfo()", () => {
  test("certificateInfo() describes the first certificate of a chain", async () => {
    const leaf = await authority.issue({
      names: [{ type: "url", value: ID }],
      notBeforeMs: 1_800_000_000_000,
      notAfterMs: 1_800_000_060_000,
    });
    expect(certificateInfo(leaf.key + leaf.chain + authority.roots)).toMatchObject({
      spiffeId: ID,
      notBeforeMs: 1_800_000_000_000,
      notAfterMs: 1_800_000_060_000,
    });
  });

  test("certificateInfo() refuses a text without a workload's certificate", async () => {
    expect(() => certificateInfo("")).toThrow(expect.objectContaining({ code: "pem_malformed" }));
    const { chain } = await authority.issue({ names: [{ type: "dns", value: ID }] });
    expect(() => certificateInfo(chain)).toThrow(expect.objectContaining({ code: "certificate_malformed" }));
  });
});

describe("renewalTimeMs()", () => {
  const life = { notBeforeMs: 1_000_000, notAfterMs: 1_000_000 + 86_400_000 };

  test("renewalTimeMs() is half of the life, a hundredth to either side", () => {
    const at = (float: number) =>
      renewalTimeMs(life, { float: () => float, uint32: () => 0, below: () => 0 });
    expect(at(0)).toBe(1_000_000 + 86_400_000 * 0.49);
    expect(at(0.5)).toBe(1_000_000 + 86_400_000 * 0.5);
    expect(at(1)).toBe(1_000_000 + 86_400_000 * 0.51);
  });

  test("renewalTimeMs() spreads what joined at one moment", () => {
    const random = new Prng(1);
    const times = new Set(Array.from({ length: 1000 }, () => renewalTimeMs(life, random)));
    expect(times.size).toBeGreaterThan(990);
  });
});

describe("nextRenewalTimeMs()", () => {
  const HOUR_MS = 3_600_000;
  const middle = { float: () => 0.5, uint32: () => 0, below: () => 0 };
  const next = (notBeforeMs: number, notAfterMs: number, nowMs: number) =>
    nextRenewalTimeMs({ notBeforeMs, notAfterMs }, middle, nowMs);

  test("nextRenewalTimeMs() is half of the life where that lies ahead", () => {
    expect(next(-300_000, 24 * HOUR_MS, 0)).toBe(
      renewalTimeMs({ notBeforeMs: -300_000, notAfterMs: 24 * HOUR_MS }, middle),
    );
    expect(next(-6_000, 60_000, 0)).toBe(27_000);
  });

  test("nextRenewalTimeMs() waits where a renewal gains nothing: less as the end comes nearer, and never for less", () => {
    // The CA ends: each certificate does so too, and begins before now.
    const left = [240_000, 60_000, 20_000, 1_000, 0, -60_000];
    expect(left.map((ms) => next(-300_000, ms, 0))).toEqual([
      ...[54_000, 30_000, 10_000],
      ...[RENEWAL_PAUSE_MIN_MS, RENEWAL_PAUSE_MIN_MS, RENEWAL_PAUSE_MIN_MS],
    ]);
    // The clock here is thirteen hours ahead.
    expect(next(-13 * HOUR_MS, 11 * HOUR_MS, 0)).toBe(2.4 * HOUR_MS);
  });
});
