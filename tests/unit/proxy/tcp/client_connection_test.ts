/** A TCP upstream that stands before anybody asks for it. */
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel } from "../../../../src/lib/timer_wheel.ts";
import type { RequestHead } from "../../../../src/proxy/exchange.ts";
import { TcpClientConnection } from "../../../../src/proxy/tcp/client_connection.ts";
import { connectHead } from "../../../../src/proxy/tcp/server_connection.ts";
import type { UpstreamOwner } from "../../../../src/proxy/upstream_connection.ts";
import { FakeWire, latin1, settle } from "../fake_wire.ts";
import { SeenResponse } from "../http1/upstream.ts";

const HEAD: RequestHead = connectHead("db:5432");

class Standing implements UpstreamOwner {
  readonly wire = new FakeWire();
  gone = 0;
  readonly connection = new TcpClientConnection(this.wire, this, new TimerWheel(new ManualClock()));

  onCapacity(): void {}

  onGone(): void {
    this.gone++;
  }

  async take(): Promise<SeenResponse> {
    const seen = new SeenResponse();
    this.connection.request(seen, HEAD, false);
    await settle();
    return seen;
  }
}

describe("TcpClientConnection", () => {
  test("TcpClientConnection keeps one piece of what the server says to nobody, and tells it first", async () => {
    const up = new Standing();
    up.connection.onData(latin1("220 hello\r\n"));
    expect(up.wire.paused).toBe(true);
    const seen = await up.take();
    expect([seen.head?.status, seen.body, up.wire.paused]).toEqual([200, "220 hello\r\n", false]);
    up.connection.onData(latin1("more"));
    up.connection.onEnd();
    expect(seen).toMatchObject({ body: "220 hello\r\nmore", ended: true, reset: null });
  });

  test("TcpClientConnection waits again for a reader that has no room for what was said first", async () => {
    const up = new Standing();
    up.connection.onData(latin1("220 hello\r\n"));
    const seen = new SeenResponse();
    const stream = up.connection.request(seen, HEAD, false);
    seen.onHead = () => stream.pauseResponse();
    await settle();
    expect(up.wire.paused).toBe(true);
  });

  test("TcpClientConnection is gone when the server ends or breaks it before anybody asks", () => {
    for (const how of ["onEnd", "onClose"] as const) {
      const up = new Standing();
      up.connection[how]();
      expect(up.gone).toBe(1);
    }
  });
});
