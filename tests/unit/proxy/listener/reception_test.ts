/** Connections in the hands of those that speak their protocol. */
import { expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { ConnectionGate } from "../../../../src/proxy/listener/connection_gate.ts";
import { closed, Reception } from "../../../../src/proxy/listener/reception.ts";
import { CAPS } from "../data_plane.ts";
import { FakeWire } from "../fake_wire.ts";
import { SeenRequests } from "../http1/downstream.ts";
import { CLIENT_PREFACE, headers, post, settings } from "../http2/raw_frames.ts";
import { CLIENT_HELLOS } from "./client_hellos.ts";

test.each([[false, "timeout"], [true, null]])(
  "Reception.http2() gives bodies a pace, unless the connection is shared: %p",
  (shared, reset) => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const reception = new Reception(new ConnectionGate(CAPS, clock), wheel, "inbound");
    const requests = new SeenRequests();
    const connection = reception.http2(new FakeWire(), requests, shared);
    const slow = headers(1, post("content-length", "60000"));
    connection.onData(Buffer.concat([CLIENT_PREFACE, settings(), slow]));
    clock.advance(60_000);
    expect(requests.last.reset).toBe(reset as "timeout" | null);
  },
);

test.each([0, 20])(
  "Reception.hello() waits for a hello as long as for a handshake: %p bytes of it",
  (bytes) => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const limits = { ...DEFAULT_LIMITS, detectionMs: 1_000, tlsHandshakeMs: 3_000 };
    const reception = new Reception(new ConnectionGate(CAPS, clock), wheel, "inbound", limits);
    const wire = new FakeWire();
    const connection = reception.hello(wire, closed);
    if (bytes > 0) connection.onData(CLIENT_HELLOS.curl.subarray(0, bytes));
    clock.advance(limits.tlsHandshakeMs - 1);
    expect(wire.closed).toBe(false);
    clock.advance(1 + WHEEL_LATENESS_MS);
    expect(wire.closed).toBe(true);
  },
);
