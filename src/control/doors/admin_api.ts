/** The control plane's admin socket: what the status API shows, and what changes something. */
import { Hono } from "hono";
import type { AuditLog } from "../../citadel/audit_log.ts";
import type { Citadel } from "../../citadel/citadel.ts";
import type {
  CertificatesReply,
  RevokeRequest,
  TokenCreateReply,
  TokenCreateRequest,
  TokenRevokeRequest,
  TokensReply,
} from "../../model/admin.ts";
import type { KnownWorkloads } from "../../pilot/file_workloads.ts";
import type { WorkloadRegistry } from "../../pilot/registry.ts";
import type { Log } from "../../telemetry/log.ts";
import { adminAnswer, REQUEST_BYTES_MAX } from "./admin_answer.ts";
import { joinerOf } from "../joiner.ts";
import { BodyError, readJson } from "./read_body.ts";

export interface AdminApiOptions {
  readonly citadel: Citadel;
  readonly audit: AuditLog;
  readonly registry: WorkloadRegistry;
  readonly log: Log;
  /** `HOST:PORT` under which workloads reach this control plane. */
  readonly advertised: string;
  /** Certificates were revoked. */
  onRevoked(): void;
  /** Served here too. */
  readonly status: Hono;
  readonly policies: Hono;
  readonly tap: Hono;
  readonly rollover: Hono;
}

export function createAdminApi(options: AdminApiOptions): Hono {
  const { citadel, audit, registry, log, advertised, status, policies, tap, rollover } = options;
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
  app.post("/v1/tokens", (context) =>
    adminAnswer(context, async () => {
      const body = await readJson(context.req.raw, REQUEST_BYTES_MAX) as Partial<TokenCreateRequest> | null;
      const joiner = joinerOf(body ?? {}, registry);
      const { token, id, expiresAtMs } = await citadel.createToken({
        ...joiner,
        controlPlane: advertised,
        ttlMs: body?.ttlMs,
        source: body?.source,
      });
      const expiresAt = new Date(expiresAtMs).toISOString();
      const { workload, spiffeId } = joiner;
      await audit.append({ event: "token-create", outcome: "done", by: `token ${id}`, workload, spiffeId });
      log.info("Created a join token", { id, ...joiner, expiresAt });
      const reply: TokenCreateReply = {
        token,
        id,
        ...joiner,
        controlPlane: advertised,
        expiresAt,
      };
      return context.json(reply);
    }));
  app.get("/v1/tokens", (context) =>
    adminAnswer(context, async () => {
      const reply: TokensReply = { tokens: await citadel.tokens() };
      return context.json(reply);
    }));
  app.post("/v1/tokens/revoke", (context) =>
    adminAnswer(context, async () => {
      const body = await readJson(context.req.raw, REQUEST_BYTES_MAX) as Partial<TokenRevokeRequest> | null;
      const id = body?.id;
      if (typeof id !== "string") throw new BodyError(400, "The body needs an id");
      await citadel.revokeToken(id);
      await audit.append({ event: "token-revoke", outcome: "done", by: `token ${id}` });
      log.warn("Revoked a join token", { id });
      return context.json({});
    }));
  app.get("/v1/certificates", (context) => {
    const reply: CertificatesReply = { certificates: citadel.certificates() };
    return context.json(reply);
  });
  app.get("/v1/workloads", (context) => {
    const reply: KnownWorkloads = { trustDomain: citadel.trustDomain, workloads: registry.workloads() };
    return context.json(reply);
  });
  app.route("/", policies);
  app.route("/", tap);
  app.route("/", rollover);
  app.route("/", status);
  return app;
}
