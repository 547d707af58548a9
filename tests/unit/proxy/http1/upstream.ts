/** An upstream at the other end of one client connection, for tests: what it reads, what it answers, what came of it. */
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel } from "../../../../src/lib/timer_wheel.ts";
import type {
  ClientHandler,
  HeaderList,
  RequestHead,
  ResetReason,
  ResponseHead,
} from "../../../../src/proxy/exchange.ts";
import { Http1ClientConnection } from "../../../../src/proxy/http1/client_connection.ts";
import type { UpstreamOwner } from "../../../../src/proxy/upstream_connection.ts";
import { FakeWire, latin1, settle } from "../fake_wire.ts";
import { requestHead } from "../request_head.ts";

/** One response as its handler saw it. */
export class SeenResponse implements ClientHandler {
  readonly informed: number[] = [];
  head: ResponseHead | null = null;
  body = "";
  ended = false;
  trailers: HeaderList | null = null;
  /** Reason, and whether the upstream may have acted on the request. */
  reset: [ResetReason, boolean] | null = null;
  writable = 0;
  onHead: () => void = () => {};

  onInform(status: number): void {
    this.#expectOpen();
    this.informed.push(status);
  }

  onResponse(head: ResponseHead): void {
    this.#expectOpen();
    if (this.head !== null) throw new Error("A second response");
    this.head = head;
    this.onHead();
  }

  onResponseBody(chunk: Uint8Array): void {
    this.#expectOpen();
    this.body += Buffer.from(chunk).toString("latin1");
  }

  onResponseEnd(trailers: HeaderList | null): void {
    this.#expectOpen();
    this.ended = true;
    this.trailers = trailers;
  }

  onUpstreamReset(reason: ResetReason, processed: boolean): void {
    this.#expectOpen();
    this.reset = [reason, processed];
  }

  onUpstreamWritable(): void {
    this.writable++;
  }

  #expectOpen(): void {
    if (this.ended || this.reset !== null) throw new Error("A call after the end of the response");
  }
}

export class Upstream implements UpstreamOwner {
  readonly wire = new FakeWire();
  readonly clock = new ManualClock();
  readonly wheel = new TimerWheel(this.clock);
  idle = 0;
  gone = 0;
  readonly connection = new Http1ClientConnection(this.wire, this, this.wheel);

  onCapacity(): void {
    this.idle++;
  }

  onGone(): void {
    this.gone++;
  }

  /** Sends a request to it, which has ended unless it has a body. */
  request(head: Partial<RequestHead> = {}, handler = new SeenResponse()): SeenResponse {
    const full = requestHead(head);
    this.connection.request(handler, full, full.bodyLength === 0);
    return handler;
  }

  answer(...pieces: string[]): void {
    for (const piece of pieces) this.connection.onData(latin1(piece));
  }

  /** What it has read. */
  async read(): Promise<string> {
    await settle();
    return this.wire.take();
  }
}

export const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
