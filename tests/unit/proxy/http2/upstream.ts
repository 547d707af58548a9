/** A server at the other end of one HTTP/2 client connection, for tests: raw frames out, lines in. */
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel } from "../../../../src/lib/timer_wheel.ts";
import { type ConnectionTerms, TERMS_DEFAULT } from "../../../../src/proxy/connection_terms.ts";
import type { ClientStream, RequestHead } from "../../../../src/proxy/exchange.ts";
import { Http2ClientConnection } from "../../../../src/proxy/http2/client_connection.ts";
import type { UpstreamOwner } from "../../../../src/proxy/upstream_connection.ts";
import { FakeWire, settle } from "../fake_wire.ts";
import { SeenResponse } from "../http1/upstream.ts";
import { FrameLog, settings } from "./raw_frames.ts";
import { requestHead } from "../request_head.ts";

/** A request on its way, from both sides. */
export interface Sent {
  readonly stream: ClientStream;
  readonly response: SeenResponse;
}

export class Http2Upstream implements UpstreamOwner {
  readonly wire = new FakeWire();
  readonly clock = new ManualClock();
  readonly wheel = new TimerWheel(this.clock);
  /** Calls of `onCapacity` and `onGone`. */
  capacity = 0;
  gone = 0;
  /** Calls of `onDoubt`. */
  readonly doubts: boolean[] = [];
  onFree: () => void = () => {};
  readonly connection: Http2ClientConnection;
  readonly #log = new FrameLog();

  constructor(
    Connection: typeof Http2ClientConnection = Http2ClientConnection,
    terms: ConnectionTerms = TERMS_DEFAULT,
  ) {
    this.connection = new Connection(this.wire, this, this.wheel, terms);
  }

  static async greeted(...pairs: readonly (readonly [number, number])[]): Promise<Http2Upstream> {
    const up = new Http2Upstream();
    up.answer(settings(...pairs));
    await up.read();
    return up;
  }

  onCapacity(): void {
    this.capacity++;
    this.onFree();
  }

  onGone(): void {
    this.gone++;
  }

  onDoubt(isDoubted: boolean): void {
    this.doubts.push(isDoubted);
  }

  /** Sends a request, which has ended unless it has a body. */
  request(head: Partial<RequestHead> = {}, response = new SeenResponse()): Sent {
    const full = requestHead(head);
    return { stream: this.connection.request(response, full, full.bodyLength === 0), response };
  }

  answer(...frames: Buffer[]): void {
    this.connection.onData(Buffer.concat(frames));
  }

  async read(): Promise<string[]> {
    await settle();
    return this.#log.tell(this.wire.take());
  }

  drain(room = Number.POSITIVE_INFINITY): void {
    this.wire.room = room;
    this.connection.onDrain();
  }
}
