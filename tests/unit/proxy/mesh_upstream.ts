/** The mesh listener at the other end of a fake connection: it speaks HTTP/2 and answers as the test says. */
import type { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import type { Acceptor, RequestHead, ServerHandler, ServerStream } from "../../../src/proxy/exchange.ts";
import { Http2ServerConnection } from "../../../src/proxy/http2/server_connection.ts";
import type { FakeConnection } from "./fake_network.ts";
import { FakeWire } from "./fake_wire.ts";
import { SeenRequest } from "./http1/downstream.ts";

export class MeshUpstream implements Acceptor {
  readonly requests: SeenRequest[] = [];

  /** Takes the place of the fake wire's far end. */
  constructor(connection: FakeConnection, wheel: TimerWheel) {
    const wire = new FakeWire();
    wire.write = (data, offset = 0, length = data.length - offset) => {
      connection.say(Buffer.from(data.subarray(offset, offset + length)));
      return length;
    };
    const server = new Http2ServerConnection(wire, this, wheel, () => {});
    connection.wire.write = (data, offset = 0, length = data.length - offset) => {
      server.onData(Buffer.from(data.subarray(offset, offset + length)));
      return length;
    };
  }

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    const request = new SeenRequest(stream, head, ended);
    this.requests.push(request);
    return request;
  }

  onMalformed(status: number, details: string): void {
    throw new Error(`Malformed: ${status} ${details}`);
  }

  get last(): SeenRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error("No request came");
    return request;
  }
}
