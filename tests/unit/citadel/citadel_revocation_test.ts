/** Certificates that the CA takes back: which, for how long, and the list of them. */
import { afterAll, describe, expect, test } from "bun:test";
import { REJOIN_GRACE_MAX_MS } from "../../../src/citadel/issuer.ts";
import { encodePem } from "../../../src/identity/pem.ts";
import { controlPlaneId } from "../../../src/model/spiffe_id.ts";
import { openssl } from "../identity/openssl.ts";
import {
  CART,
  enrolled,
  newCsr,
  openCitadel,
  removeDirectories,
  START_MS,
  TRUST_DOMAIN,
} from "./test_citadel.ts";

afterAll(removeDirectories);

const DAY_MS = 86_400_000;

describe("Citadel.revoke()", () => {
  test("Citadel.revoke() takes a serial number, as openssl writes it too, and survives a restart", async () => {
    const { citadel, clock, dataDirectory, issued } = await enrolled();
    const spelled = (issued.serial.toUpperCase().match(/../g) as string[]).join(":");
    expect(await citadel.revoke(spelled)).toMatchObject([{ serial: issued.serial, state: "revoked" }]);
    const { citadel: again } = await openCitadel({ dataDirectory, clock });
    for (const each of [citadel, again]) {
      expect(each.isRevoked(issued.serial)).toBe(true);
      expect(each.revokedSerials()).toEqual([issued.serial]);
      expect(each.certificates().at(-1)).toMatchObject({ serial: issued.serial, state: "revoked" });
    }
  });

  test("Citadel.revoke() takes with a certificate those that it replaced, and none that came after it", async () => {
    const { citadel, issued } = await enrolled();
    const csr = await newCsr();
    const renew = () => citadel.renew(CART.spiffeId, CART.workload, { csr });
    const [second, third] = [await renew(), await renew()];
    await citadel.revoke(second.serial);
    expect(citadel.revokedSerials()).toEqual([issued.serial, second.serial].sort());
    expect(citadel.isRevoked(third.serial)).toBe(false);
    expect(citadel.revokedIds()).toEqual([{ spiffeId: CART.spiffeId, endedByMs: START_MS }]);
  });

  test("Citadel.revoke() takes every certificate of an identity, and a new token lets it in again", async () => {
    const { citadel, issued } = await enrolled();
    const renewed = await citadel.renew(CART.spiffeId, CART.workload, { csr: await newCsr() });
    await citadel.revoke(CART.spiffeId);
    expect(citadel.revokedSerials()).toEqual([issued.serial, renewed.serial].sort());
    const { token } = await citadel.createToken(CART);
    const { serial } = await citadel.enrol({ token, csr: await newCsr() });
    expect(citadel.isRevoked(serial)).toBe(false);
  });

  test("Citadel.revoke() takes an identity again that has come back, when that has expired too", async () => {
    const { citadel, clock } = await enrolled();
    await citadel.revoke(CART.spiffeId);
    const { token } = await citadel.createToken(CART);
    const back = await citadel.enrol({ token, csr: await newCsr() });
    clock.advance(2 * DAY_MS);
    expect(await citadel.revoke(CART.spiffeId)).toMatchObject([{ serial: back.serial, state: "revoked" }]);
    expect(citadel.revokedSerials()).toEqual([]);
    // So that what it opened is broken off, with whatever certificate.
    expect(citadel.revokedIds()).toEqual([{ spiffeId: CART.spiffeId, endedByMs: clock.now() }]);
  });

  test("Citadel.revoke() refuses what is not there, has expired, or is the control plane's own", async () => {
    const { citadel, clock, issued } = await enrolled();
    await citadel.issueOwn();
    for (const target of ["", "4a", "spiffe://mesh.test/ns/shop/sa/other"]) {
      await expect(citadel.revoke(target)).rejects.toMatchObject({
        code: "request_invalid",
        message: expect.stringMatching(/ the identity ".*"; bowline certs shows both$/),
      });
    }
    await expect(citadel.revoke(controlPlaneId(TRUST_DOMAIN))).rejects.toMatchObject({
      code: "request_invalid",
    });
    // It has expired, but its key might still be a way back in.
    clock.advance(DAY_MS + REJOIN_GRACE_MAX_MS);
    expect(await citadel.revoke(issued.serial)).toMatchObject([{ state: "revoked" }]);
    expect(citadel.revokedSerials()).toEqual([]);
    clock.advance(1);
    await expect(citadel.revoke(issued.serial)).rejects.toMatchObject({ code: "request_invalid" });
  });
});

describe("Citadel.crl()", () => {
  test("Citadel.crl() is a list that openssl verifies, and by which it refuses the certificate", async () => {
    const { citadel, issued } = await enrolled();
    const files = async () => ({
      "root.pem": citadel.trustBundle().roots,
      "leaf.pem": issued.reply.chain,
      "crl.pem": encodePem("X509 CRL", await citadel.crl()),
    });
    const args = ["verify", "-x509_strict", "-attime", String(START_MS / 1000), "-crl_check"];
    const verify = async () =>
      openssl([...args, "-CAfile", "root.pem", "-CRLfile", "crl.pem", "leaf.pem"], await files());
    expect(await verify()).toContain("OK");
    await citadel.revoke(issued.serial);
    await expect(verify()).rejects.toThrow("certificate revoked");
    const text = openssl(["crl", "-in", "crl.pem", "-noout", "-text", "-CAfile", "root.pem"], await files());
    expect(text).toContain("verify OK");
    expect(text).toContain(`Serial Number: ${issued.serial.toUpperCase()}`);
    expect(text).toContain("Next Update: Jan 15 09:00:00 2027 GMT");
  });
});
