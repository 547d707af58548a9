/**
 * A port that tells whoever reaches it something small: whether the process is ready, its metrics. On the codec of the
 * data plane, since Bun's own server takes any number of connections: who opens them would use up the descriptors that
 * requests live on.
 */
import type { TimerWheel } from "../lib/timer_wheel.ts";
import { DEFAULT_LIMITS, type Limits } from "../model/limits.ts";
import type { HttpHandler, HttpServer } from "../runtime/http_server.ts";
import { openFilesMax } from "../runtime/open_files_max.ts";
import { type ListenAddress, type Listener, listenTcp } from "../runtime/socket.ts";
import type { Wire } from "../runtime/wire.ts";
import type { HeaderList, RequestHead, ServerHandler, ServerStream } from "./exchange.ts";
import { Http1ServerConnection } from "./http1/server_connection.ts";

/**
 * Connections of one such port at once. Above, the one that has asked nothing for longest is closed, never the new one:
 * a health check asks within milliseconds, so that whoever holds connections open, or opens ever more, keeps none out.
 */
export const STATUS_CONNECTIONS_MAX = 128;

/** With few descriptors it is this share of them: what the data plane leaves free is for files, too. */
const STATUS_CONNECTIONS_SHARE = 0.01;
const STATUS_CONNECTIONS_MIN = 4;

/** A connection on which nothing moves is closed after this long. Scrapers come more often. */
export const STATUS_IDLE_MS = 120_000;

/** `openFiles` is RLIMIT_NOFILE. */
export function statusConnectionsMax(openFiles: number): number {
  const share = Math.floor(openFiles * STATUS_CONNECTIONS_SHARE);
  return Math.min(Math.max(share, STATUS_CONNECTIONS_MIN), STATUS_CONNECTIONS_MAX);
}

const LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  connectionIdleMs: STATUS_IDLE_MS,
  streamIdleMs: STATUS_IDLE_MS,
};

export class StatusPort implements HttpServer {
  readonly #wheel: TimerWheel;
  readonly #handler: HttpHandler;
  readonly #connectionsMax: number;
  readonly #listener: Listener;
  /** Who asked latest is the last. */
  readonly #wires = new Set<Wire>();

  /** Listens at once. Throws ListenError. */
  constructor(
    address: ListenAddress,
    wheel: TimerWheel,
    handler: HttpHandler,
    connectionsMax = statusConnectionsMax(openFilesMax()),
  ) {
    this.#wheel = wheel;
    this.#handler = handler;
    this.#connectionsMax = connectionsMax;
    this.#listener = listenTcp(address, (wire) => this.#accept(wire));
  }

  get port(): number {
    return this.#listener.port;
  }

  stop(): Promise<void> {
    this.#listener.stop();
    for (const wire of [...this.#wires]) wire.terminate();
    return Promise.resolve();
  }

  #accept(wire: Wire): Http1ServerConnection {
    if (this.#wires.size >= this.#connectionsMax) this.#closeQuietest();
    this.#wires.add(wire);
    const accept = (stream: ServerStream, head: RequestHead) => {
      this.#wires.delete(wire);
      this.#wires.add(wire);
      const asker = new Asker(stream);
      void asker.tell(requestOf(head), this.#handler);
      return asker;
    };
    const forget = () => void this.#wires.delete(wire);
    const acceptor = { accept, onMalformed() {} };
    return new Http1ServerConnection(wire, acceptor, this.#wheel, "http", forget, LIMITS);
  }

  /** At once: a peer that was sent a FIN could hold on to its half, and with it to the descriptor. */
  #closeQuietest(): void {
    for (const quietest of this.#wires) {
      this.#wires.delete(quietest);
      quietest.terminate();
      return;
    }
  }
}

/**
 * No host here is another one's, and nothing that is asked has a body. HEAD is asked as GET: the codec leaves the body
 * away, and the length is the one that it would have (RFC 9110 §8.6). Null: it asks for no path, as CONNECT does.
 */
function requestOf({ method, path, headers }: RequestHead): Request | null {
  if (!path.startsWith("/")) return null;
  const pairs: [string, string][] = [];
  for (let i = 0; i < headers.length; i += 2) pairs.push([headers[i] as string, headers[i + 1] as string]);
  try {
    return new Request(`http://status${path}`, {
      method: method === "HEAD" ? "GET" : method,
      headers: pairs,
    });
  } catch {
    // A method that Fetch has no form for.
    return null;
  }
}

/** One who asks; what it says behind the head is of no interest. */
class Asker implements ServerHandler {
  readonly #stream: ServerStream;
  #isGone = false;

  constructor(stream: ServerStream) {
    this.#stream = stream;
  }

  async tell(request: Request | null, handler: HttpHandler): Promise<void> {
    let [status, headers, body]: [number, HeaderList, Uint8Array] = [500, [], new Uint8Array()];
    try {
      const response = request === null ? new Response(null, { status: 405 }) : await handler(request);
      body = new Uint8Array(await response.arrayBuffer());
      headers = [...response.headers].flat();
      // Fetch says it of a text, but Bun only as its own server sends one.
      if (!response.headers.has("content-type")) headers.push("content-type", "text/plain;charset=utf-8");
      ({ status } = response);
    } catch {
      // A bug; whoever asks learns nothing of it.
    }
    if (this.#isGone) return;
    this.#stream.respond({ status, headers, bodyLength: body.length });
    this.#stream.body(body);
    this.#stream.end(null);
  }

  onRequestBody(): void {}

  onRequestEnd(): void {}

  onDownstreamReset(): void {
    this.#isGone = true;
  }

  onDownstreamWritable(): void {}
}
