/** The HTTP/2 codec on real sockets, without a mesh around it: a server that echoes, a client that collects, and peers made by others. */
import { systemClock } from "../../src/lib/clock.ts";
import { TimerWheel } from "../../src/lib/timer_wheel.ts";
import type {
  Acceptor,
  ClientHandler,
  ClientStream,
  HeaderList,
  RequestHead,
  ResponseHead,
  ServerHandler,
  ServerStream,
} from "../../src/proxy/exchange.ts";
import { Http2ClientConnection } from "../../src/proxy/http2/client_connection.ts";
import { Http2ServerConnection } from "../../src/proxy/http2/server_connection.ts";
import { connect, type Listener, listenTcp } from "../../src/runtime/socket.ts";
import { afterwards } from "./bowline.ts";

const wheel = new TimerWheel(systemClock);
const PIECE = new Uint8Array(50_000).fill(0x78);

/**
 * `/echo` sends back what it gets, with a trailer of its length; `/bytes/N` sends N bytes; `/reset` breaks off in the
 * middle; `/headers` tells the `x-` fields that came, as JSON and as fields; anything else says hello.
 */
export class EchoServer implements Acceptor {
  readonly malformed: string[] = [];
  requests = 0;
  readonly #listener: Listener;
  readonly #connections = new Set<Http2ServerConnection>();

  constructor() {
    this.#listener = listenTcp(
      { hostname: "127.0.0.1", port: 0 },
      (wire) => {
        const connection = new Http2ServerConnection(
          wire,
          this,
          wheel,
          (gone) => this.#connections.delete(gone),
        );
        this.#connections.add(connection);
        return connection;
      },
    );
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#listener.port}`;
  }

  stop(): void {
    this.#listener.stop();
  }

  /** Drains all connections; further ones are served as before. */
  drain(): void {
    for (const connection of this.#connections) connection.drain();
  }

  onMalformed(status: number, details: string): void {
    this.malformed.push(`${status} ${details}`);
  }

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    this.requests++;
    const { path } = head;
    if (path === "/echo") return new Echo(stream, ended);
    if (path.startsWith("/bytes/")) return new Bytes(stream, Number(path.slice(7)));
    if (path === "/reset") {
      stream.respond({ status: 200, headers: [], bodyLength: -1 });
      stream.body(PIECE);
      setTimeout(() => stream.reset(), 20);
    } else if (path === "/headers") {
      const { headers } = head;
      const own = headers.filter((_, i) => (headers[i - i % 2] as string).startsWith("x-"));
      const text = JSON.stringify(
        Object.fromEntries(own.flatMap((name, i) => i % 2 === 0 ? [[name, own[i + 1]]] : [])),
      );
      stream.respond({ status: 200, headers: own, bodyLength: text.length });
      stream.body(Buffer.from(text));
      stream.end(null);
    } else {
      stream.respond({ status: 200, headers: ["content-type", "text/plain"], bodyLength: 5 });
      stream.body(Buffer.from("hello"));
      stream.end(null);
    }
    return new Silent();
  }
}

class Silent implements ServerHandler {
  onRequestBody(_chunk: Uint8Array): void {}
  onRequestEnd(): void {}
  onDownstreamReset(): void {}
  onDownstreamWritable(): void {}
}

class Echo extends Silent {
  #bytes = 0;

  constructor(readonly stream: ServerStream, ended: boolean) {
    super();
    stream.respond({ status: 200, headers: ["trailer", "x-bytes"], bodyLength: -1 });
    if (ended) this.onRequestEnd();
  }

  override onRequestBody(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    if (!this.stream.body(chunk)) this.stream.pauseRequest();
  }

  override onRequestEnd(): void {
    this.stream.end(["x-bytes", String(this.#bytes)]);
  }

  override onDownstreamWritable(): void {
    this.stream.resumeRequest();
  }
}

class Bytes extends Silent {
  #left: number;

  constructor(readonly stream: ServerStream, bytes: number) {
    super();
    this.#left = bytes;
    stream.respond({ status: 200, headers: [], bodyLength: bytes });
    this.onDownstreamWritable();
  }

  override onDownstreamWritable(): void {
    while (this.#left > 0) {
      const piece = PIECE.subarray(0, this.#left);
      this.#left -= piece.length;
      if (!this.stream.body(piece)) return;
    }
    this.stream.end(null);
  }
}

/** What came of one request. */
export interface Answer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly bytes: number;
  readonly trailers: HeaderList | null;
  /** Null: it came to its end. */
  readonly reset: string | null;
  /** With `reset`: whether the server may have acted on the request. */
  readonly processed: boolean;
}

/** One client connection to a server by somebody else. */
export class TestClient {
  gone = false;
  #connection!: Http2ClientConnection;

  static async connected(port: number): Promise<TestClient> {
    const client = new TestClient();
    await new Promise<void>((resolve, reject) => {
      connect({ hostname: "127.0.0.1", port }, null, {
        opened: (wire) => {
          const owner = { onCapacity() {}, onGone: () => void (client.gone = true) };
          client.#connection = new Http2ClientConnection(wire, owner, wheel);
          resolve();
          return client.#connection;
        },
        failed: reject,
      });
    });
    return client;
  }

  get capacity(): number {
    return this.#connection.capacity;
  }

  close(): void {
    this.#connection.retire();
  }

  /** Sends so many bytes of body, -1: none and no end either, until the answer is there. */
  request(path: string, { method = "GET", bytes = 0, headers = [] as HeaderList } = {}): Promise<Answer> {
    return new Promise((resolve) => {
      const head = {
        method,
        scheme: "http",
        authority: "peer.test",
        path,
        headers,
        bodyLength: bytes === 0 ? 0 : -1,
      };
      const request = new Request(bytes, resolve);
      request.start(this.#connection.request(request, head, bytes === 0));
    });
  }
}

class Request implements ClientHandler {
  #stream: ClientStream | null = null;
  #left: number;
  #head: ResponseHead | null = null;
  #bytes = 0;

  constructor(bytes: number, readonly resolve: (answer: Answer) => void) {
    this.#left = bytes;
  }

  start(stream: ClientStream): void {
    this.#stream = stream;
    if (this.#left > 0) this.onUpstreamWritable();
  }

  onInform(): void {}

  onResponse(head: ResponseHead): void {
    this.#head = head;
  }

  onResponseBody(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
  }

  onResponseEnd(trailers: HeaderList | null): void {
    this.#settle(trailers, null, true);
  }

  onUpstreamReset(reason: string, processed: boolean): void {
    this.#settle(null, reason, processed);
  }

  onUpstreamWritable(): void {
    while (this.#left > 0) {
      const piece = PIECE.subarray(0, this.#left);
      this.#left -= piece.length;
      if (this.#stream?.body(piece) === false) return;
    }
    this.#stream?.end(null);
  }

  #settle(trailers: HeaderList | null, reset: string | null, processed: boolean): void {
    const { status = 0, headers = [] } = this.#head ?? {};
    this.resolve({ status, headers, bytes: this.#bytes, trailers, reset, processed });
  }
}

/** Runs a command to its end. Throws with the Debian package when it is not there. */
export async function runTool(tool: string, debianPackage: string, ...args: string[]): Promise<string> {
  const path = Bun.which(tool);
  if (path === null) throw new Error(`This test needs ${tool}: install the Debian package ${debianPackage}`);
  const child = Bun.spawn([path, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${tool} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

/** A program for Node.js, whose HTTP/2 is nghttp2: the server prints its port as its first line. */
export async function startNode(program: string): Promise<{ readonly port: number }> {
  const node = Bun.which("node");
  if (node === null) throw new Error("This test needs node: install the Debian package nodejs");
  const child = Bun.spawn([node, "-e", program], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  afterwards(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  const { value } = await child.stdout.getReader().read();
  return { port: Number(new TextDecoder().decode(value)) };
}
