/** A bare TCP server that answers as it is told, right or wrong, byte for byte. */
import { createServer, type Server, type Socket } from "node:net";
import { afterwards } from "./bowline.ts";

/** The path of requests that are answered by their heads; what comes behind one is taken for its body, without end. */
export const EARLY_PATH = "/early";

/** Answers one request; the head has come whole, and the body as far as Content-Length tells. */
export type Answer = (socket: Socket, request: RawRequest) => void;

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  /** Counts the requests of the connection from 0. */
  readonly index: number;
}

export interface FaultyUpstream {
  /** Requests so far, in the order of their coming. */
  readonly requests: RawRequest[];
  /** Connections that were accepted. */
  readonly connections: Set<Socket>;
  stop(): Promise<void>;
}

export async function startFaulty(address: string, port: number, answer: Answer): Promise<FaultyUpstream> {
  const requests: RawRequest[] = [];
  const connections = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: false }, (socket) => {
    let received = "";
    let index = 0;
    connections.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => connections.delete(socket));
    let early = false;
    socket.on("data", (chunk: Buffer) => {
      if (early) return;
      received += chunk.toString("latin1");
      for (let next = take(received, index); next !== null; next = take(received, index)) {
        received = received.slice(next.bytes);
        index++;
        requests.push(next.request);
        answer(socket, next.request);
        early = next.request.path === EARLY_PATH;
        if (early) return;
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, resolve);
  });
  const stop = (): Promise<void> => {
    for (const socket of connections) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  afterwards(stop);
  return { requests, connections, stop };
}

/** The first request of the text, if it is whole. */
function take(text: string, index: number): { request: RawRequest; bytes: number } | null {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return null;
  const [method = "", path = ""] = text.split(" ", 2);
  const length = path === EARLY_PATH
    ? 0
    : Number(/\r\ncontent-length: *([0-9]+)/i.exec(text.slice(0, headEnd))?.[1] ?? 0);
  const bytes = headEnd + 4 + length;
  if (text.length < bytes) return null;
  return { request: { method, path, body: text.slice(headEnd + 4, bytes), index }, bytes };
}

/** A good answer. */
export function ok(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

const idle = new WeakMap<Socket, ReturnType<typeof setTimeout>>();

/** Closes an idle connection a random moment, up to 3 ms, after its answer: often just as the next request comes. */
export function closeAtRandom(socket: Socket, request: RawRequest): void {
  clearTimeout(idle.get(socket));
  socket.write(ok(`good ${request.path}`));
  idle.set(socket, setTimeout(() => socket.destroy(), Math.random() * 3));
}
