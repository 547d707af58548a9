/** Requests octet by octet, over HTTP/1.1 and HTTP/2, to any door of a proxy: what no library would send. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { CLIENT_PREFACE, data, FrameLog, headers, settings } from "../unit/proxy/http2/raw_frames.ts";
import { CEILING_MS } from "./bowline.ts";

/** Where to knock. */
export interface RawDoor {
  readonly address: string;
  readonly port: number;
  /** PEM; with it the connection is one of TLS. */
  readonly identity?: { readonly key: string; readonly chain: string };
}

/** What came back: a status, or how the proxy made an end of it. */
export type RawOutcome = number | "reset" | "closed";

/** Everything that comes back, as Latin-1, once the proxy has closed. Throws when it does not. */
export async function readToEnd(door: RawDoor, request: string): Promise<string> {
  let text = "";
  await converse(door, "http/1.1", Buffer.from(request, "latin1"), (chunk) => {
    text += chunk.toString("latin1");
    return false;
  });
  return text;
}

/** One request of these lines; the last ones, which close the connection, are added. */
export async function askHttp1(door: RawDoor, lines: readonly string[]): Promise<RawOutcome> {
  const request = [...lines, "connection: close", "", ""].join("\r\n");
  let text = "";
  await converse(door, "http/1.1", Buffer.from(request, "latin1"), (chunk) => {
    text += chunk.toString("latin1");
    return false;
  });
  const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
  return status === undefined ? "closed" : Number(status);
}

/** One request of these fields, flat names and values, as they are; with `body`, that follows. gRPC's status as HTTP's. */
export async function askHttp2(
  door: RawDoor,
  fields: readonly string[],
  body: Buffer | null = null,
): Promise<RawOutcome> {
  const log = new FrameLog();
  let outcome: RawOutcome = "closed";
  const request = [CLIENT_PREFACE, settings(), headers(1, fields, body === null)];
  if (body !== null) request.push(data(1, body, true));
  await converse(door, "h2", Buffer.concat(request), (chunk) => {
    for (const line of log.tell(chunk)) {
      const status = /^HEADERS 1 .*?:status=(\d{3})/.exec(line)?.[1];
      if (status !== undefined) outcome = statusOf(Number(status), line);
      else if (/^(?:RST_STREAM 1|GOAWAY) /.test(line) && outcome === "closed") outcome = "reset";
      else continue;
      return true;
    }
    return false;
  });
  return outcome;
}

/** By gRPC status, of those that policies and paths answer. */
const GRPC_STATUS: Readonly<Record<string, number>> = { "7": 403, "12": 404, "13": 400, "16": 401 };

function statusOf(status: number, line: string): number {
  const grpc = / grpc-status=(\d+)/.exec(line)?.[1];
  return grpc === undefined ? status : GRPC_STATUS[grpc] ?? 500;
}

/** Sends, and reads until `onData` says that it is enough, or the peer closes. */
function converse(
  { address, port, identity }: RawDoor,
  protocol: "h2" | "http/1.1",
  request: Buffer,
  onData: (chunk: Buffer) => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = identity === undefined ? connectTcp({ host: address, port }) : connectTls({
      ...{ host: address, port, key: identity.key, cert: identity.chain },
      ...{ ALPNProtocols: [protocol], rejectUnauthorized: false },
    });
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve();
    };
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`No answer from ${address}:${port} to ${JSON.stringify(request.toString("latin1"))}`));
    }, CEILING_MS);
    socket.on(identity === undefined ? "connect" : "secureConnect", () => socket.write(request));
    socket.on("data", (chunk: Buffer) => {
      if (onData(chunk)) finish();
    });
    socket.on("error", finish);
    socket.on("close", finish);
  });
}
