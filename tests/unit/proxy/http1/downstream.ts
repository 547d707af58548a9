/** A client of one server connection, for tests: what it sends, what it reads, and what the acceptor was given. */
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel } from "../../../../src/lib/timer_wheel.ts";
import type {
  Acceptor,
  HeaderList,
  RequestHead,
  ResetReason,
  ServerHandler,
  ServerStream,
} from "../../../../src/proxy/exchange.ts";
import { Http1ServerConnection } from "../../../../src/proxy/http1/server_connection.ts";
import { FakeWire, latin1, settle } from "../fake_wire.ts";

/** One request as its handler saw it. */
export class SeenRequest implements ServerHandler {
  body = "";
  ended: boolean;
  trailers: HeaderList | null = null;
  reset: ResetReason | null = null;
  writable = 0;
  /** Called inside every callback, for tests of re-entrancy. */
  onBody: (request: SeenRequest) => void = () => {};

  constructor(readonly stream: ServerStream, readonly head: RequestHead, ended: boolean) {
    this.ended = ended;
  }

  /** `200` with a body of that text. */
  answer(text = "", headers: HeaderList = []): void {
    this.stream.respond({ status: 200, headers, bodyLength: text.length });
    if (text !== "") this.stream.body(latin1(text));
    this.stream.end(null);
  }

  onRequestBody(chunk: Uint8Array): void {
    this.#expectOpen();
    this.body += Buffer.from(chunk).toString("latin1");
    this.onBody(this);
  }

  onRequestEnd(trailers: HeaderList | null): void {
    this.#expectOpen();
    this.ended = true;
    this.trailers = trailers;
  }

  onDownstreamReset(reason: ResetReason): void {
    if (this.reset !== null) throw new Error("A second reset");
    this.reset = reason;
  }

  onDownstreamWritable(): void {
    this.writable++;
  }

  #expectOpen(): void {
    if (this.ended || this.reset !== null) throw new Error("A call after the end of the request");
  }
}

/** The requests of a connection, in order. */
export class SeenRequests implements Acceptor {
  readonly requests: SeenRequest[] = [];
  readonly malformed: string[] = [];
  /** Called inside `accept`, for acceptors that answer at once. */
  onAccept: (request: SeenRequest) => void = () => {};

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    const request = new SeenRequest(stream, head, ended);
    this.requests.push(request);
    this.onAccept(request);
    return request;
  }

  onMalformed(status: number, details: string): void {
    this.malformed.push(`${status} ${details}`);
  }

  /** The latest request. */
  get last(): SeenRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error("No request came");
    return request;
  }
}

export class Downstream extends SeenRequests {
  readonly wire = new FakeWire();
  readonly clock = new ManualClock();
  readonly wheel = new TimerWheel(this.clock);
  closed = 0;
  readonly connection = new Http1ServerConnection(this.wire, this, this.wheel, "http", () => this.closed++);

  /** Sends bytes, unless the proxy does not read. */
  send(...pieces: string[]): void {
    for (const piece of pieces) this.connection.onData(latin1(piece));
  }

  async exchange(...pieces: string[]): Promise<string> {
    this.send(...pieces);
    await settle();
    return this.wire.take();
  }

  /** The socket takes everything from now on. */
  drain(room = Number.POSITIVE_INFINITY): void {
    this.wire.room = room;
    this.connection.onDrain();
  }
}

export const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

export function post(body: string, ...fields: string[]): string {
  const lines = ["POST / HTTP/1.1", "Host: a", `Content-Length: ${body.length}`, ...fields];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

export function ok(text: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
}

/** What the connection itself says to a message that is no request. */
export function refusal(status: string): string {
  return `HTTP/1.1 ${status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`;
}
