/** A client of one HTTP/2 server connection, for tests: it sends raw frames and tells in lines what it was sent. */
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel } from "../../../../src/lib/timer_wheel.ts";
import type { Acceptor, RequestHead, ServerHandler, ServerStream } from "../../../../src/proxy/exchange.ts";
import { Http2ServerConnection } from "../../../../src/proxy/http2/server_connection.ts";
import { FakeWire, settle } from "../fake_wire.ts";
import { SeenRequest } from "../http1/downstream.ts";
import { CLIENT_PREFACE, FrameLog, settings } from "./raw_frames.ts";

export class Http2Downstream implements Acceptor {
  readonly wire = new FakeWire();
  readonly clock = new ManualClock();
  readonly wheel = new TimerWheel(this.clock);
  readonly requests: SeenRequest[] = [];
  readonly malformed: string[] = [];
  closed = 0;
  onAccept: (request: SeenRequest) => void = () => {};
  readonly connection = new Http2ServerConnection(this.wire, this, this.wheel, () => this.closed++);
  readonly #log = new FrameLog();

  /** Greeted, and past the greeting. */
  static async greeted(...pairs: readonly (readonly [number, number])[]): Promise<Http2Downstream> {
    const down = new Http2Downstream();
    down.send(CLIENT_PREFACE, settings(...pairs));
    await down.read();
    return down;
  }

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    const request = new SeenRequest(stream, head, ended);
    this.requests.push(request);
    this.onAccept(request);
    return request;
  }

  onMalformed(status: number, details: string): void {
    this.malformed.push(`${status} ${details}`);
  }

  get last(): SeenRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error("No request came");
    return request;
  }

  /** All in one piece. */
  send(...frames: Buffer[]): void {
    this.connection.onData(Buffer.concat(frames));
  }

  /** What it was sent since the last call. */
  async read(): Promise<string[]> {
    await settle();
    return this.#log.tell(this.wire.take());
  }

  async exchange(...frames: Buffer[]): Promise<string[]> {
    this.send(...frames);
    return await this.read();
  }

  /** The socket takes so much more. */
  drain(room = Number.POSITIVE_INFINITY): void {
    this.wire.room = room;
    this.connection.onDrain();
  }
}
