/** The paths of the admin socket that show a rollover of the root, and take its steps. */
import { Hono } from "hono";
import type { AuditLog } from "../../citadel/audit_log.ts";
import type { Citadel } from "../../citadel/citadel.ts";
import { CitadelError } from "../../citadel/citadel_error.ts";
import type { RolloverRequest } from "../../model/admin.ts";
import { adminAnswer, REQUEST_BYTES_MAX } from "./admin_answer.ts";
import { BodyError, readJson } from "./read_body.ts";
import type { RolloverWatch } from "../rollover_watch.ts";

const STEPS: readonly unknown[] = ["start", "finish", "abort"] satisfies RolloverRequest["step"][];

export interface RolloverApiOptions {
  readonly citadel: Citadel;
  readonly audit: AuditLog;
  readonly watch: RolloverWatch;
}

export function createRolloverApi({ citadel, audit, watch }: RolloverApiOptions): Hono {
  const app = new Hono();
  app.get("/v1/rollover", (context) => adminAnswer(context, async () => context.json(await watch.status())));
  app.post("/v1/rollover", (context) =>
    adminAnswer(context, async () => {
      const body = await readJson(context.req.raw, REQUEST_BYTES_MAX) as Partial<RolloverRequest> | null;
      const { step, force } = body ?? {};
      if (
        step === undefined || !STEPS.includes(step) || (force !== undefined && typeof force !== "boolean")
      ) {
        throw new BodyError(400, "The body needs a step: start, finish or abort");
      }
      const { rollover } = citadel;
      if (rollover === null) {
        throw new CitadelError(
          "request_invalid",
          "The CA is plugged in, and its roots are yours to change: add the new root to root-cert.pem and start " +
            "again; when status shows that nobody lacks it, replace ca-cert.pem, ca-key.pem and cert-chain.pem and " +
            "start again; when nobody is left to renew, take the old root out",
        );
      }
      await watch.take(rollover, { step, force });
      await audit.append({ event: "root-rollover", outcome: "done", by: force ? `${step} --force` : step });
      return context.json(await watch.status());
    }));
  return app;
}
