/** The programs behind the sidecars: small HTTP servers that tell what reached them. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { afterwards } from "./bowline.ts";

/** What an echo server answers. */
export interface Echo {
  readonly app: string;
  readonly method: string;
  readonly path: string;
  /** Lower-case name -> value. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyBytes: number;
  /** SHA-256, hexadecimal. */
  readonly bodyHash: string;
}

/** Starts a server that says who it is and what it was asked; `special` may answer first. */
export async function startEcho(
  app: string,
  address: string,
  special: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
  port = 8080,
): Promise<void> {
  const server = createServer((request, response) => {
    if (special(request, response)) return;
    const hash = createHash("sha256");
    let bodyBytes = 0;
    request.on("data", (chunk: Buffer) => {
      bodyBytes += chunk.length;
      hash.update(chunk);
    });
    request.on("end", () => {
      const { method = "", url: path = "" } = request;
      const headers = request.headers as Record<string, string>;
      const echo: Echo = { app, method, path, headers, bodyBytes, bodyHash: hash.digest("hex") };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(echo));
    });
  });
  afterwards(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
