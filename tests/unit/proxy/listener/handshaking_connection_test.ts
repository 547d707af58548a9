import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { HandshakingConnection } from "../../../../src/proxy/listener/handshaking_connection.ts";
import type { TlsWire } from "../../../../src/runtime/wire.ts";
import { FakeWire } from "../fake_wire.ts";

function shaking() {
  const clock = new ManualClock();
  const wire = new FakeWire();
  const told: string[] = [];
  const connection = new HandshakingConnection(
    wire,
    new TimerWheel(clock),
    () => void told.push("judged"),
    () => void told.push("over"),
  );
  return { clock, wire, told, connection };
}

describe("HandshakingConnection", () => {
  test("HandshakingConnection is over before the peer is judged, and its time counts no more", () => {
    const { clock, wire, told, connection } = shaking();
    connection.onHandshake(wire as unknown as TlsWire, null);
    expect(told).toEqual(["over", "judged"]);
    clock.advance(2 * DEFAULT_LIMITS.tlsHandshakeMs);
    expect(wire.closed).toBe(false);
  });

  test("HandshakingConnection closes at its time, and not before", () => {
    const { clock, wire } = shaking();
    clock.advance(DEFAULT_LIMITS.tlsHandshakeMs - 1);
    expect(wire.closed).toBe(false);
    clock.advance(WHEEL_LATENESS_MS + 1);
    expect(wire.terminated).toBe(true);
  });

  test("HandshakingConnection closes when it is told to, at the peer's end, and at bytes that nobody judged", () => {
    for (const end of ["close", "onEnd", "onData"] as const) {
      const { wire, told, connection } = shaking();
      if (end === "onData") connection.onData();
      else connection[end]();
      expect(wire.terminated).toBe(true);
      connection.onClose();
      expect(told).toEqual(["over"]);
    }
  });

  test("HandshakingConnection that was closed has no peer to judge", () => {
    const { wire, told, connection } = shaking();
    connection.close();
    connection.onHandshake(wire as unknown as TlsWire, new Error("ECONNRESET"));
    expect(told).toEqual([]);
  });

  test("HandshakingConnection whose peer has left has none to judge either", () => {
    const { wire, told, connection } = shaking();
    const left = Object.assign(new Error("ECONNRESET"), { code: "ECONNRESET" });
    connection.onHandshake(wire as unknown as TlsWire, left);
    expect([told, wire.terminated]).toEqual([["over"], true]);
  });
});
