import { describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AdminClient, type AdminLimits } from "../../../src/cli/admin_client.ts";
import { CommandError, EXIT } from "../../../src/cli/exit_codes.ts";
import type { HttpHandler } from "../../../src/runtime/http_server.ts";
import { withAdminServer } from "./admin_server.ts";

/** A user that owns nothing. */
const NOBODY = 65_534;
const LIMITS: AdminLimits = { timeoutMs: 5_000, replyBytesMax: 100 };

/** The error of a call, with the data directory taken out of its texts. `prepare` may say how to undo it. */
function failure(
  handler: HttpHandler | null,
  limits = LIMITS,
  prepare?: (data: string) => (() => void) | void,
) {
  return withAdminServer(handler, async (data) => {
    const undo = prepare?.(data);
    try {
      await new AdminClient(data, limits).get("/api/graph");
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const { exitCode, message, hint } = error;
      return { exitCode, message: message.replaceAll(data, "DATA"), hint: hint?.replaceAll(data, "DATA") };
    } finally {
      undo?.();
    }
    throw new Error("The call did not fail");
  });
}

function refusal(status: number, body: unknown): HttpHandler {
  return () => Response.json(body, { status });
}

describe("AdminClient", () => {
  test("get() gives the JSON of an answer", async () => {
    const answer = await withAdminServer(
      (request) => Response.json({ method: request.method, path: new URL(request.url).pathname }),
      (data) => new AdminClient(data).get("/api/graph"),
    );
    expect(answer).toEqual({ method: "GET", path: "/api/graph" });
  });

  test("post() sends JSON", async () => {
    const answer = await withAdminServer(
      async (request) =>
        Response.json({ type: request.headers.get("content-type"), body: await request.json() }),
      (data) => new AdminClient(data).post("/v1/tokens", { workload: "a/b" }),
    );
    expect(answer).toEqual({ type: "application/json", body: { workload: "a/b" } });
  });

  test("takes an answer of the greatest length and refuses a longer one", async () => {
    const longest = JSON.stringify("x".repeat(LIMITS.replyBytesMax - 2));
    const answer = await withAdminServer(
      () => new Response(longest),
      (data) => new AdminClient(data, LIMITS).get("/"),
    );
    expect(answer).toBe(JSON.parse(longest));
    expect(await failure(() => new Response(` ${longest}`))).toMatchObject({
      exitCode: EXIT.error,
      message: "The answer of the control plane is longer than 100 bytes",
    });
  });

  test("is unavailable when there is no socket", async () => {
    expect(await failure(null)).toEqual({
      exitCode: EXIT.unavailable,
      message: "There is no DATA/admin.sock",
      hint: "is the control plane running with --data DATA?",
    });
  });

  test("is unavailable when nobody listens at the socket", async () => {
    const leave = (data: string) => writeFileSync(join(data, "admin.sock"), "");
    expect(await failure(null, LIMITS, leave)).toEqual({
      exitCode: EXIT.unavailable,
      message: "No process answers at DATA/admin.sock",
      hint: "it was left behind; is the control plane running with --data DATA?",
    });
  });

  test("says whom the socket belongs to when it is another user's", async () => {
    const lock = (data: string) => {
      chmodSync(join(data, "admin.sock"), 0);
      // Nothing is locked for root.
      if (process.geteuid?.() !== 0) return;
      process.seteuid?.(NOBODY);
      return () => process.seteuid?.(0);
    };
    expect(await failure(() => Response.json({}), LIMITS, lock)).toMatchObject({
      exitCode: EXIT.error,
      message: "Permission denied for DATA/admin.sock",
    });
  });

  test("is unavailable when the path of the socket is too long for one", async () => {
    const call = new AdminClient(`/tmp/${"d".repeat(200)}`).get("/");
    await expect(call).rejects.toMatchObject({
      exitCode: EXIT.unavailable,
      hint: "choose a shorter --data directory",
    });
  });

  test("does not wait for ever", async () => {
    const silent = () => new Promise<Response>(() => {});
    expect(await failure(silent, { ...LIMITS, timeoutMs: 50 })).toMatchObject({
      exitCode: EXIT.unavailable,
      message: "The process at DATA/admin.sock did not answer within 0.05 s",
    });
  });

  test.each([
    [
      400,
      { error: { code: "x", message: "No such workload" } },
      EXIT.badInput,
      "The control plane refused: No such workload",
    ],
    [500, { error: { code: "x", message: "Disk full" } }, EXIT.error, "The control plane failed: Disk full"],
    [
      503,
      { error: { message: 1 } },
      EXIT.error,
      "The control plane failed: it answered 503 without a reason",
    ],
    [
      500,
      { error: { message: "a\u001b[31m" } },
      EXIT.error,
      "The control plane failed: a\ufffd[31m",
    ],
    [404, {}, EXIT.error, "The process at DATA/admin.sock does not know how to answer this"],
  ])("tells of status %p with body %j", async (status, body, exitCode, message) => {
    expect(await failure(refusal(status, body))).toMatchObject({ exitCode, message });
  });

  test("tells of an answer that is no JSON", async () => {
    expect(await failure(() => new Response("<html>"))).toMatchObject({
      exitCode: EXIT.error,
      message: "The control plane failed: it answered 200 without a reason",
    });
  });
});
