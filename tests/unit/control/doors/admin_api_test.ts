/** What the admin socket changes. */
import { afterAll, describe, expect, test } from "bun:test";
import { Hono } from "hono";
import { AuditLog } from "../../../../src/citadel/audit_log.ts";
import { createAdminApi } from "../../../../src/control/doors/admin_api.ts";
import type { CertificatesReply } from "../../../../src/model/admin.ts";
import type { WorkloadRegistry } from "../../../../src/pilot/registry.ts";
import { createLog } from "../../../../src/telemetry/log.ts";
import { CART, failingFiles, newCsr, openCitadel, removeDirectories } from "../../citadel/test_citadel.ts";

afterAll(removeDirectories);

describe("createAdminApi()", () => {
  test("createAdminApi() revokes many certificates of an identity in few writes, and audits each", async () => {
    const { citadel, clock } = await openCitadel();
    const { token } = await citadel.createToken(CART);
    const csr = await newCsr();
    await citadel.enrol({ token, csr });
    for (let i = 1; i < 100; i++) await citadel.renew(CART.spiffeId, CART.workload, { csr });
    const files = failingFiles(-1, "before");
    const audit = await AuditLog.open(citadel.directory, files, clock);
    let pushes = 0;
    const app = createAdminApi({
      ...{ citadel, audit, registry: {} as WorkloadRegistry, advertised: CART.controlPlane },
      log: createLog({ clock, format: "json", write: () => {} }),
      onRevoked: () => void pushes++,
      ...{ status: new Hono(), policies: new Hono(), tap: new Hono(), rollover: new Hono() },
    });
    const body = JSON.stringify({ target: CART.spiffeId });
    const reply = await app.request("/v1/revocations", { method: "POST", body });
    const { certificates } = await reply.json() as CertificatesReply;
    expect([reply.status, certificates.length, pushes]).toEqual([200, 100, 1]);
    expect(files.calls).toBeLessThan(10);
    const lines = await Bun.file(`${citadel.directory}/audit.jsonl`).text();
    expect(lines.trimEnd().split("\n").map((line) => (JSON.parse(line) as { serial: string }).serial))
      .toEqual(certificates.map(({ serial }) => serial));
  });
});
