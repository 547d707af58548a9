/** Who waits for whom at the paths that hand out certificates. */
import { afterAll, describe, expect, test } from "bun:test";
import { Hono } from "hono";
import { ATTEMPTS_MAX, SOURCE_ATTEMPTS_MAX } from "../../../../src/citadel/attempt_limits.ts";
import type { AuditEntry, AuditLog } from "../../../../src/citadel/audit_log.ts";
import { addCertificatePaths } from "../../../../src/control/doors/certificate_api.ts";
import type { Peer } from "../../../../src/control/doors/fetch_bridge.ts";
import { PrivateFileError } from "../../../../src/runtime/private_files.ts";
import { createLog } from "../../../../src/telemetry/log.ts";
import { CART, newCsr, openCitadel, removeDirectories } from "../../citadel/test_citadel.ts";

afterAll(removeDirectories);

async function build() {
  const { citadel, clock } = await openCitadel();
  const { token } = await citadel.createToken(CART);
  const { serial } = await citadel.enrol({ token, csr: await newCsr() });
  const told: AuditEntry[] = [];
  const disk = { full: false };
  const audit = {
    async append(entry: AuditEntry) {
      await Promise.resolve();
      if (disk.full) throw new PrivateFileError("failed", "audit.jsonl", "The disk is full");
      told.push(entry);
    },
  } as unknown as AuditLog;
  const log = createLog({ clock, format: "json", write: () => {} });
  const app = new Hono<{ Bindings: Peer }>();
  addCertificatePaths(app, { citadel, audit, platform: null, clock, log, onEnrolled: () => {} });
  const post = async (path: string, body: unknown, peer: Partial<Peer>): Promise<number> => {
    const nobody = { address: "192.0.2.1", spiffeId: null, serial: null } as Peer;
    const init = { method: "POST", body: JSON.stringify(body) };
    return (await app.request(path, init, { ...nobody, ...peer })).status;
  };
  return { citadel, post, serial, told, disk };
}

const RENEW = `/v1/renew?workload=${encodeURIComponent(CART.workload)}`;

describe("addCertificatePaths()", () => {
  test("addCertificatePaths() lets a workload renew while others guess from everywhere", async () => {
    const { citadel, post, serial } = await build();
    const guess = { token: "guess", csr: "none" };
    for (let asked = 0; asked < ATTEMPTS_MAX; asked++) {
      const address = `198.51.100.${Math.floor(asked / SOURCE_ATTEMPTS_MAX)}`;
      expect(await post("/v1/enrol", guess, { address })).toBe(403);
    }
    const { token } = await citadel.createToken({ ...CART, workload: "shop/cart-v2" });
    expect(await post("/v1/enrol", { token, csr: await newCsr() }, { address: "203.0.113.1" })).toBe(429);
    expect(await post(RENEW, { csr: await newCsr() }, { spiffeId: CART.spiffeId, serial })).toBe(200);
  });

  test("addCertificatePaths() tells the audit log of renewals with a certificate that was revoked, or with none", async () => {
    const { citadel, post, serial, told } = await build();
    await citadel.revoke(serial);
    const csr = await newCsr();
    expect(await post(RENEW, { csr }, { spiffeId: CART.spiffeId, serial })).toBe(403);
    expect(await post(RENEW, { csr }, {})).toBe(401);
    expect(told).toMatchObject([
      {
        event: "renew",
        outcome: "certificate_revoked",
        by: `certificate ${serial}`,
        spiffeId: CART.spiffeId,
      },
      { event: "renew", outcome: "certificate_required", address: "192.0.2.1", spiffeId: null },
    ]);
    expect(await post(RENEW, {}, {})).toBe(401);
  });

  test("addCertificatePaths() takes no attempt from a workload whose revoked certificate somebody else shows", async () => {
    const { citadel, post, serial } = await build();
    await citadel.revoke(serial);
    const { token } = await citadel.createToken(CART);
    const { serial: next } = await citadel.enrol({ token, csr: await newCsr() });
    const csr = await newCsr();
    for (let asked = 0; asked < SOURCE_ATTEMPTS_MAX; asked++) {
      expect(await post(RENEW, { csr }, { spiffeId: CART.spiffeId, serial })).toBe(403);
    }
    expect(await post(RENEW, { csr }, { spiffeId: CART.spiffeId, serial })).toBe(429);
    const owner = { address: "192.0.2.2", spiffeId: CART.spiffeId, serial: next };
    expect(await post(RENEW, { csr }, owner)).toBe(200);
  });

  test("addCertificatePaths() counts renewals for names that a workload makes up as one", async () => {
    const { post, serial } = await build();
    const peer = { spiffeId: CART.spiffeId, serial };
    const csr = await newCsr();
    for (let asked = 0; asked < SOURCE_ATTEMPTS_MAX; asked++) {
      expect(await post(`/v1/renew?workload=shop%2Fno-${asked}`, { csr }, peer)).toBe(403);
    }
    expect(await post("/v1/renew?workload=shop%2Fno", { csr }, peer)).toBe(429);
    expect(await post(RENEW, { csr }, peer)).toBe(200);
  });

  test("addCertificatePaths() leaves a token good when the audit log cannot be told what came of it", async () => {
    const { citadel, post, disk } = await build();
    const { token } = await citadel.createToken({ ...CART, workload: "shop/cart-v2" });
    const enrol = async () => await post("/v1/enrol", { token, csr: await newCsr() }, {});
    disk.full = true;
    expect([await enrol(), await enrol()]).toEqual([503, 503]);
    disk.full = false;
    expect([await enrol(), await enrol()]).toEqual([200, 403]);
  });

  test("addCertificatePaths() hands no certificate to whom somebody is just shutting out", async () => {
    const { citadel, post, serial } = await build();
    const renew = `/v1/renew?workload=${encodeURIComponent(CART.workload)}`;
    const renewals = [1, 2, 3].map(async () =>
      post(renew, { csr: await newCsr() }, { spiffeId: CART.spiffeId, serial })
    );
    const revoked = new Promise((resolve) => setImmediate(resolve)).then(() => citadel.revoke(serial));
    expect(await Promise.all(renewals)).toEqual([403, 403, 403]);
    await revoked;
  });
});
