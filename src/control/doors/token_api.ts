/** The paths of the admin socket that make join tokens, list those that nobody has used, and take them back. */
import { Hono } from "hono";
import type { AuditLog } from "../../citadel/audit_log.ts";
import type { Citadel } from "../../citadel/citadel.ts";
import type {
  TokenCreateReply,
  TokenCreateRequest,
  TokenRevokeRequest,
  TokensReply,
} from "../../model/admin.ts";
import type { WorkloadRegistry } from "../../pilot/registry.ts";
import type { Log } from "../../telemetry/log.ts";
import { joinerOf } from "../joiner.ts";
import { adminAnswer, REQUEST_BYTES_MAX } from "./admin_answer.ts";
import { BodyError, readJson } from "./read_body.ts";

export interface TokenApiOptions {
  readonly citadel: Citadel;
  readonly audit: AuditLog;
  readonly registry: WorkloadRegistry;
  readonly log: Log;
  /** `HOST:PORT` under which workloads reach this control plane. */
  readonly advertised: string;
}

export function createTokenApi({ citadel, audit, registry, log, advertised }: TokenApiOptions): Hono {
  const app = new Hono();
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
      const reply: TokenCreateReply = { token, id, ...joiner, controlPlane: advertised, expiresAt };
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
  return app;
}
