/** A client of one HTTP/2 server connection, for tests: it sends raw frames and tells in lines what it was sent. */
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel } from "../../../../src/lib/timer_wheel.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../../src/model/limits.ts";
import { Http2ServerConnection } from "../../../../src/proxy/http2/server_connection.ts";
import { FakeWire, settle } from "../fake_wire.ts";
import { SeenRequests } from "../http1/downstream.ts";
import { CLIENT_PREFACE, FrameLog, settings } from "./raw_frames.ts";

export class Http2Downstream extends SeenRequests {
  readonly wire = new FakeWire();
  readonly clock = new ManualClock();
  readonly wheel = new TimerWheel(this.clock);
  closed = 0;
  readonly connection: Http2ServerConnection;
  readonly #log = new FrameLog();

  constructor(limits: Limits = DEFAULT_LIMITS) {
    super();
    this.connection = new Http2ServerConnection(this.wire, this, this.wheel, () => this.closed++, limits);
  }

  /** Greeted, and past the greeting. */
  static greeted(...pairs: readonly (readonly [number, number])[]): Promise<Http2Downstream> {
    return Http2Downstream.limited(DEFAULT_LIMITS, ...pairs);
  }

  /** The same with limits of its own. */
  static async limited(
    limits: Limits,
    ...pairs: readonly (readonly [number, number])[]
  ): Promise<Http2Downstream> {
    const down = new Http2Downstream(limits);
    down.send(CLIENT_PREFACE, settings(...pairs));
    await down.read();
    return down;
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
