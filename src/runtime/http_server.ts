/**
 * A small HTTP server for the APIs in the data directory, where only the own user comes, and for the demo's programs. It
 * takes any number of connections: a port that others reach is a StatusPort.
 */
import { lstatSync, unlinkSync } from "node:fs";
import { formatAuthority } from "../lib/authority.ts";
import { ListenError } from "./listen_error.ts";

/** No request of an operator or of the dashboard comes near this; bytes. */
export const API_BODY_BYTES_MAX = 1024 * 1024;

/** A connection over TCP on which nothing moves is closed after this long; seconds. */
export const API_IDLE_S = 120;

/** Only the user that runs the process may speak to a Unix socket. */
const PRIVATE_UMASK = 0o177;

export type HttpAddress =
  | { readonly hostname: string; /** 0 takes a free one. */ readonly port: number }
  | { readonly unixPath: string };

export interface HttpServer {
  /** 0 for a Unix socket. */
  readonly port: number;
  /** Stops listening and ends what is open. */
  stop(): Promise<void>;
}

export type HttpHandler = (request: Request) => Response | Promise<Response>;

/** Listens and answers. Throws ListenError when the address is taken or not to be had. */
export async function serveHttp(
  address: HttpAddress,
  handler: HttpHandler,
  idleS = API_IDLE_S,
): Promise<HttpServer> {
  if (!("unixPath" in address)) {
    const server = listen(formatAuthority(address), address, handler, idleS);
    return { port: server.port ?? 0, stop: () => server.stop(true) };
  }
  const { unixPath } = address;
  await removeStaleSocket(unixPath);
  // Set for the moment of binding, so that there is none in which another user could connect.
  const umask = process.umask(PRIVATE_UMASK);
  try {
    // `bowline tap` is silent for as long as nothing happens.
    const server = listen(unixPath, { unix: unixPath }, handler, 0);
    return { port: 0, stop: () => server.stop(true) };
  } finally {
    process.umask(umask);
  }
}

function listen(
  place: string,
  address: { hostname: string; port: number } | { unix: string },
  handler: HttpHandler,
  idleTimeout: number,
): Bun.Server<undefined> {
  try {
    return Bun.serve({
      ...address,
      development: false,
      // With development off Bun would share the port with whoever listens on it already, and say nothing.
      reusePort: false,
      idleTimeout,
      maxRequestBodySize: API_BODY_BYTES_MAX,
      fetch: handler,
      error: () => Response.json({ error: { code: "internal", message: "Internal error" } }, { status: 500 }),
    } as Bun.Serve.Options<undefined>);
  } catch (error) {
    throw ListenError.of(place, error);
  }
}

/** A process that was killed leaves its socket behind; one that still answers keeps it. */
async function removeStaleSocket(path: string): Promise<void> {
  const isSocket = lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
  if (isSocket && !(await answers(path))) unlinkSync(path);
}

/** Whether a process answers at a Unix socket. */
export async function answers(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data() {} } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}
