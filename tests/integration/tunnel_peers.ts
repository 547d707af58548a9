/** The ends of tunnels: a WebSocket server, a TCP server that speaks first, and clients of both through a sidecar. */
import { createHash } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import { runCurl } from "./clients.ts";
import type { HttpTarget } from "./keep_alive_client.ts";
import { afterwards } from "./bowline.ts";

const MESSAGE_BYTES_MAX = 50 * 1024 * 1024;
const PIECE = Buffer.alloc(256 * 1024, 7);

/** Echoes messages; `good-bye` closes; refuses `/refused`, and takes no notice of the upgrade at `/ignored`. */
export function startChat(hostname: string, port: number) {
  const server = Bun.serve({
    hostname,
    port,
    fetch(request, server) {
      const { pathname } = new URL(request.url);
      if (pathname === "/refused") return new Response("not you", { status: 403 });
      if (pathname === "/ignored") return new Response("a page");
      return server.upgrade(request) ? undefined : new Response("no upgrade asked", { status: 400 });
    },
    websocket: {
      maxPayloadLength: MESSAGE_BYTES_MAX,
      message(socket, message) {
        socket.send(message);
        if (message === "good-bye") socket.close(4000, "as you wish");
      },
    },
  });
  afterwards(() => server.stop(true));
  return server;
}

/** A WebSocket to what `startChat` serves. */
export function webSocket({ address, port, host }: HttpTarget, path: string): Promise<WebSocket> {
  const options = { headers: { Host: host } } as unknown as string;
  const socket = new WebSocket(`ws://${address}:${port}${path}`, options);
  socket.binaryType = "arraybuffer";
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = (event) => reject(new Error((event as ErrorEvent).message));
    socket.onclose = () => reject(new Error("The WebSocket closed before it was open"));
  });
}

export function answerTo(socket: WebSocket, message: string | Uint8Array): Promise<string | ArrayBuffer> {
  return new Promise((resolve, reject) => {
    socket.onmessage = (event) => resolve(event.data);
    socket.onclose = () => reject(new Error("The WebSocket closed before it answered"));
    socket.send(message as string);
  });
}

/** Asks for an upgrade with curl, which shows the answer whatever it is. */
export async function askUpgrade(
  { address, port, host }: HttpTarget,
  path: string,
): Promise<{ status: number; body: string }> {
  const fields = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  const { stdout } = await runCurl([
    ...["--silent", "--max-time", "5", "--write-out", "\n%{http_code}", "-H", `Host: ${host}`],
    ...fields.flatMap((field) => ["-H", field]),
    ...["-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", `http://${address}:${port}${path}`],
  ]);
  const lines = stdout.split("\n");
  return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join("\n") };
}

/** An upgrade and, without waiting for the answer, a request behind it. */
export function earlyUpgrade(host: string, path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" +
    "GET /smuggled HTTP/1.1\r\nHost: store\r\n\r\n";
}

export interface Database {
  /** What each connection ended with: `whole`, `broken`, or the code of an error. */
  readonly endings: string[];
  stop(): void;
}

/**
 * Greets each client. `BYTES please` gets so many bytes; to anything else it says, when the client has ended its half,
 * how much came and its SHA-256. Then it ends its own half.
 */
export async function startDatabase(hostname: string, port: number): Promise<Database> {
  const endings: string[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash("sha256");
    let bytes = 0;
    let start = "";
    socket.write("220 ready\n");
    socket.on("data", (chunk: Buffer) => {
      if (bytes < 64) start += chunk.subarray(0, 64).toString("latin1");
      bytes += chunk.length;
      hash.update(chunk);
    });
    socket.on("end", () => {
      const wanted = /^([0-9]+) please\n$/.exec(start)?.[1];
      if (wanted === undefined) socket.end(`${bytes} ${hash.digest("hex")}\n`);
      else void sendBytes(socket, Number(wanted));
    });
    socket.on("error", (error: NodeJS.ErrnoException) => endings.push(error.code ?? "error"));
    socket.on("close", (failed) => endings.push(failed ? "broken" : "whole"));
  });
  await new Promise<void>((resolve) => server.listen(port, hostname, resolve));
  const stop = () => void server.close();
  afterwards(stop);
  return { endings, stop };
}

/** Sends so many bytes as fast as they are taken, and ends; returns their SHA-256. */
export async function sendBytes(socket: Socket, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  let goOn = () => {};
  socket.on("drain", () => goOn());
  // It would never say that it takes more.
  socket.on("close", () => goOn());
  for (let left = bytes; left > 0; left -= PIECE.length) {
    const piece = PIECE.subarray(0, Math.min(left, PIECE.length));
    hash.update(piece);
    if (!socket.write(piece) && !socket.destroyed) await new Promise<void>((resolve) => goOn = resolve);
  }
  socket.end();
  return hash.digest("hex");
}

export interface DatabaseTunnel {
  readonly socket: Socket;
  /** What comes behind the greeting, to its end: how much, its SHA-256, and its first bytes. Rejects when it breaks. */
  readonly heard: Promise<{ bytes: number; hash: string; start: string }>;
}

/** A connection through CONNECT to what `startDatabase` serves, after its greeting. */
export async function databaseTunnel({ address, port, host }: HttpTarget): Promise<DatabaseTunnel> {
  const socket = connect({ host: address, port, allowHalfOpen: true });
  socket.write(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const hash = createHash("sha256");
  let head = "";
  let bytes = 0;
  let start = "";
  let greet = () => {};
  const greeted = new Promise<void>((resolve) => greet = resolve);
  const heard = new Promise<{ bytes: number; hash: string; start: string }>((resolve, reject) => {
    const GREETING = "220 ready\n";
    socket.on("data", (chunk: Buffer) => {
      if (head.includes(GREETING)) {
        if (start.length < 256) start += chunk.subarray(0, 256).toString("latin1");
        bytes += chunk.length;
        hash.update(chunk);
        return;
      }
      head += chunk.toString("latin1");
      if (head.includes(GREETING)) greet();
    });
    socket.on("end", () => resolve({ bytes, hash: hash.digest("hex"), start }));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("The connection closed before its end")));
  });
  // Whoever does not ask for it need not hear that it broke.
  heard.catch(() => {});
  await Promise.race([greeted, heard]);
  if (!head.startsWith("HTTP/1.1 200 OK\r\n")) throw new Error(`No tunnel: ${head}`);
  return { socket, heard };
}
