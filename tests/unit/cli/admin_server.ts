/** A stand-in for a running control plane: an `admin.sock` in a directory of its own that answers what a test says. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ADMIN_SOCKET } from "../../../src/model/admin.ts";
import { type HttpHandler, serveHttp } from "../../../src/runtime/http_server.ts";

/** Runs `use` with the data directory of a process that answers with `handler`; null: nothing listens. */
export async function withAdminServer<T>(
  handler: HttpHandler | null,
  use: (data: string) => Promise<T>,
): Promise<T> {
  const data = mkdtempSync(join(tmpdir(), "bowline-admin-"));
  const server = handler && await serveHttp({ unixPath: join(data, ADMIN_SOCKET) }, handler);
  try {
    return await use(data);
  } finally {
    await server?.stop();
    rmSync(data, { recursive: true });
  }
}
