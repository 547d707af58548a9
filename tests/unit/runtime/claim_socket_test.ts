import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { claimSocket } from "../../../src/runtime/claim_socket.ts";
import { serveHttp } from "../../../src/runtime/http_server.ts";

const directory = mkdtempSync(join(tmpdir(), "bowline-claim-"));
afterAll(() => rmSync(directory, { recursive: true }));

const refused = { name: "ListenError", code: "address-in-use" };

describe("claimSocket()", () => {
  test("claimSocket() lets one of several begin that begin at once, and the next one when it has ended", async () => {
    const path = join(directory, "begun.sock");
    const claims = await Promise.allSettled(Array.from({ length: 5 }, () => claimSocket(path)));
    const won = claims.filter((claim) => claim.status === "fulfilled");
    expect(won).toHaveLength(1);
    for (const claim of claims) if (claim.status === "rejected") expect(claim.reason).toMatchObject(refused);
    won[0]?.value();
    (await claimSocket(path))();
  });

  test("claimSocket() refuses where a process answers that has no lock", async () => {
    const unixPath = join(directory, "old.sock");
    const server = await serveHttp({ unixPath }, () => new Response(""));
    await expect(claimSocket(unixPath)).rejects.toMatchObject(refused);
    await server.stop();
    (await claimSocket(unixPath))();
  });
});
