/** The control plane's admin socket: what the status API shows, and what changes something. */
import { Hono } from "hono";
import type { CertificatesReply, RevokeRequest } from "../../model/admin.ts";
import type { KnownWorkloads } from "../../pilot/file_workloads.ts";
import { adminAnswer, REQUEST_BYTES_MAX } from "./admin_answer.ts";
import { BodyError, readJson } from "./read_body.ts";
import { createTokenApi, type TokenApiOptions } from "./token_api.ts";

export interface AdminApiOptions extends TokenApiOptions {
  /** Certificates were revoked. */
  onRevoked(): void;
  /** Served here too. */
  readonly status: Hono;
  readonly policies: Hono;
  readonly tap: Hono;
  readonly rollover: Hono;
}

export function createAdminApi(options: AdminApiOptions): Hono {
  const { citadel, audit, registry, log, status, policies, tap, rollover } = options;
  const app = new Hono();
  app.post("/v1/revocations", (context) =>
    adminAnswer(context, async () => {
      const body = await readJson(context.req.raw, REQUEST_BYTES_MAX) as Partial<RevokeRequest> | null;
      const target = body?.target;
      if (typeof target !== "string") throw new BodyError(400, "The body needs a target");
      const reply: CertificatesReply = { certificates: await citadel.revoke(target) };
      options.onRevoked();
      // All at once: the disk takes thousands in one write, and who asks would not wait for as many.
      await Promise.all(reply.certificates.map(({ serial, identity: spiffeId, workload }) => {
        log.warn("Revoked a certificate", { serial, spiffeId, workload });
        return audit.append({ event: "certificate-revoke", outcome: "done", workload, spiffeId, serial });
      }));
      return context.json(reply);
    }));
  app.get("/v1/certificates", (context) => {
    const reply: CertificatesReply = { certificates: citadel.certificates() };
    return context.json(reply);
  });
  app.get("/v1/workloads", (context) => {
    const reply: KnownWorkloads = { trustDomain: citadel.trustDomain, workloads: registry.workloads() };
    return context.json(reply);
  });
  app.route("/", createTokenApi(options));
  app.route("/", policies);
  app.route("/", tap);
  app.route("/", rollover);
  app.route("/", status);
  return app;
}
