/** The programs behind the sidecars: small HTTP servers that tell what reached them. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

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

const servers: Server[] = [];

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
  servers.push(server);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
}

/** Ends all servers of the file. */
export async function stopEchoes(): Promise<void> {
  await Promise.all(
    servers.splice(0).map((server) => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    }),
  );
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
