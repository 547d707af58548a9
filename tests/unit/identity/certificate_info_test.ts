import { describe, expect, test } from "bun:test";
import { certificateInfo, renewalTimeMs } from "../../../src/identity/certificate_info.ts";
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
