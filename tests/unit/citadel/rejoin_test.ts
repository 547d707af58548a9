import { afterAll, describe, expect, test } from "bun:test";
import { REJOIN_GRACE_DEFAULT_MS, REJOIN_GRACE_MAX_MS } from "../../../src/citadel/issuer.ts";
import { X509Certificate } from "../../../src/citadel/x509.ts";
import { certificateInfo } from "../../../src/identity/certificate_info.ts";
import { CART, newCsr, openCitadel, removeDirectories } from "./test_citadel.ts";

afterAll(removeDirectories);

const DAY_MS = 86_400_000;

describe("Citadel.rejoin()", () => {
  /** A workload with a certificate, and its key. */
  async function joined(rejoinGraceMs?: number) {
    const opened = await openCitadel({ rejoinGraceMs });
    const { token } = await opened.citadel.createToken({ ...CART, group: "shop/cart" });
    const csr = await newCsr();
    return { ...opened, csr, issued: await opened.citadel.enrol({ token, csr }) };
  }

  test("Citadel.rejoin() gives the same identity and key again, within the grace, after a restart too", async () => {
    const { clock, dataDirectory, csr, issued } = await joined();
    const { serial } = issued;
    clock.advance(DAY_MS + REJOIN_GRACE_DEFAULT_MS - 1);
    const { citadel } = await openCitadel({ clock, dataDirectory });
    expect(citadel.enrolledWorkloads().size).toBe(0);
    const again = await citadel.rejoin({ serial, csr });
    expect(again).toMatchObject({ workload: CART.workload, by: `certificate ${serial}` });
    expect(certificateInfo(again.reply.chain)).toMatchObject({
      spiffeId: CART.spiffeId,
      serial: again.serial,
    });
    expect(publicKeyOf(again.reply.chain)).toEqual(publicKeyOf(issued.reply.chain));
    expect(citadel.groupOf(CART.workload)).toBe("shop/cart");
    await citadel.renew(CART.spiffeId, CART.workload, { csr: await newCsr() });
  });

  test("Citadel.rejoin() refuses once the grace is over, and always without one", async () => {
    for (const graceMs of [undefined, 0, REJOIN_GRACE_MAX_MS]) {
      const { citadel, clock, csr, issued: { serial } } = await joined(graceMs);
      clock.advance(DAY_MS + (graceMs ?? REJOIN_GRACE_DEFAULT_MS));
      await expect(citadel.rejoin({ serial, csr })).rejects.toMatchObject({ code: "rejoin_refused" });
      clock.advance(1);
      await expect(citadel.rejoin({ serial, csr })).rejects.toMatchObject({
        code: "rejoin_refused",
        message: "The certificate is no way back in; join with a new token",
      });
    }
  });

  test("Citadel.rejoin() refuses another key, an unknown serial number, the control plane's own", async () => {
    const { citadel, clock, csr, issued: { serial } } = await joined();
    const own = certificateInfo((await citadel.issueOwn()).chain).serial;
    clock.advance(DAY_MS);
    const attempts = [{ serial, csr: await newCsr() }, { serial: "4a", csr }, { serial: own, csr }];
    for (const attempt of attempts) {
      await expect(citadel.rejoin(attempt)).rejects.toMatchObject({ code: "rejoin_refused" });
    }
    await expect(citadel.rejoin({ serial, csr: "garbage" })).rejects.toMatchObject({ code: "csr_refused" });
    await citadel.rejoin({ serial, csr });
  });

  test("Citadel.rejoin() takes a workload's last certificate only: an old copy of a disk is of no use", async () => {
    const { citadel, clock, csr, issued: { serial } } = await joined();
    const second = await newCsr();
    const renewed = await citadel.renew(CART.spiffeId, CART.workload, { csr: second });
    clock.advance(DAY_MS);
    await expect(citadel.rejoin({ serial, csr })).rejects.toMatchObject({ code: "rejoin_refused" });
    await citadel.rejoin({ serial: renewed.serial, csr: second });
  });

  test("Citadel.rejoin() answers again, until the workload has another key: the answer may have been lost", async () => {
    const { citadel, clock, dataDirectory, csr, issued: { serial } } = await joined();
    clock.advance(DAY_MS + 1);
    expect((await citadel.rejoin({ serial, csr })).usesUp).toBe(true);
    const leaves = citadel.certificates().filter(({ kind }) => kind === "leaf");
    expect(leaves).toMatchObject([{ state: "valid" }]);
    const { citadel: again } = await openCitadel({ clock, dataDirectory });
    for (const each of [citadel, again]) expect((await each.rejoin({ serial, csr })).usesUp).toBe(false);
    await again.renew(CART.spiffeId, CART.workload, { csr: await newCsr() });
    await expect(again.rejoin({ serial, csr })).rejects.toMatchObject({ code: "rejoin_refused" });
  });

  test("Citadel.rejoin() refuses a certificate for whose key there is a newer one, when that was revoked", async () => {
    const { citadel, clock, csr, issued: { serial } } = await joined();
    clock.advance(DAY_MS + 1);
    await citadel.rejoin({ serial, csr });
    await citadel.revoke(CART.spiffeId);
    await expect(citadel.rejoin({ serial, csr })).rejects.toMatchObject({
      code: "rejoin_refused",
      detail: expect.stringContaining("was revoked"),
    });
  });

  test("Citadel.rejoin() refuses what was revoked, before it expired or after, after a restart too", async () => {
    for (const revokedFirst of [true, false]) {
      const { citadel, clock, dataDirectory, csr, issued: { serial } } = await joined();
      if (revokedFirst) await citadel.revoke(serial);
      clock.advance(DAY_MS + 1);
      await citadel.revoke(serial);
      const { token } = await citadel.createToken({ ...CART, workload: "shop/other" });
      const other = await citadel.enrol({ token, csr: await newCsr() });
      // The list is written anew, without what proxies need to know no more.
      await citadel.revoke(other.serial);
      const { citadel: again } = await openCitadel({ clock, dataDirectory });
      for (const each of [citadel, again]) {
        await expect(each.rejoin({ serial, csr })).rejects.toMatchObject({
          code: "rejoin_refused",
          detail: expect.stringContaining("was revoked"),
        });
      }
    }
  });

  test("Citadel.rejoin() gives nobody a certificate whose last one was revoked while it was made", async () => {
    const { citadel, clock, csr, issued: { serial } } = await joined();
    clock.advance(DAY_MS);
    const [attempt] = await Promise.allSettled([citadel.rejoin({ serial, csr }), citadel.revoke(serial)]);
    expect(attempt).toMatchObject({ status: "rejected", reason: { code: "rejoin_refused" } });
  });
});

/** DER of the SubjectPublicKeyInfo of a chain's leaf. */
function publicKeyOf(chain: string): Uint8Array {
  return new Uint8Array(new X509Certificate(chain).publicKey.rawData);
}
