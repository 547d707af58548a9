import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import {
  HTTP1_REFUSAL,
  HTTP2_REFUSAL,
  REFUSAL_TIMEOUT_MS,
  RefusedConnection,
} from "../../../../src/proxy/listener/refused_connection.ts";
import type { WireOwner } from "../../../../src/runtime/wire.ts";
import { FakeWire, latin1 } from "../fake_wire.ts";

function refused(answer: Uint8Array) {
  const clock = new ManualClock();
  const wheel = new TimerWheel(clock);
  const wire = new FakeWire();
  const over: WireOwner[] = [];
  const connection: WireOwner = new RefusedConnection(wire, wheel, answer, (one) => void over.push(one));
  return { clock, wheel, wire, over, connection };
}

describe("RefusedConnection", () => {
  test("RefusedConnection answers once, says no more, and hears the rest out", () => {
    const { wire, connection } = refused(HTTP1_REFUSAL);
    expect(wire.written).toBe("");
    connection.onData(latin1("POST / HTTP/1.1\r\n"));
    connection.onData(latin1("Host: shop\r\n\r\nbody"));
    expect(wire.take()).toBe(
      "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    expect([wire.shut, wire.closed]).toEqual([true, false]);
    connection.onEnd();
    expect(wire.ended).toBe(true);
  });

  test("RefusedConnection says GOAWAY to HTTP/2, with no stream processed", () => {
    const { wire, connection } = refused(HTTP2_REFUSAL);
    connection.onData(latin1("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    expect(Buffer.from(wire.written, "latin1").toString("hex")).toBe(
      `000000${"04"}0000000000${"000008"}${"07"}0000000000${"00000000"}${"00000000"}`,
    );
  });

  test("RefusedConnection does not wait for long, and is then over", () => {
    const { clock, wheel, wire, over, connection } = refused(HTTP1_REFUSAL);
    connection.onData(latin1("GET"));
    clock.advance(REFUSAL_TIMEOUT_MS - 1);
    expect(wire.terminated).toBe(false);
    clock.advance(WHEEL_LATENESS_MS + 1);
    expect(wire.terminated).toBe(true);
    connection.onClose();
    expect(over).toEqual([connection]);
    clock.advance(20_000);
    expect(wheel.size).toBe(0);
  });
});
