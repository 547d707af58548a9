import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { PlainConnection } from "../../../../src/proxy/listener/plain_connection.ts";
import type { Expectation } from "../../../../src/proxy/listener/protocol_detector.ts";
import type { WireOwner } from "../../../../src/runtime/wire.ts";
import { FakeWire, latin1 } from "../fake_wire.ts";
import { CLIENT_HELLOS } from "./client_hellos.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

function accepted(expectation: Expectation = "direct") {
  const clock = new ManualClock();
  const wire = new FakeWire();
  const heard: string[] = [];
  const owned: string[] = [];
  const ends: string[] = [];
  const over: number[] = [];
  const owner = (protocol: string): WireOwner => ({
    onData: (chunk) => void heard.push(`${protocol} ${chunk.toString("latin1")}`),
    onDrain() {},
    onEnd: () => void ends.push(protocol),
    onClose() {},
  });
  const taken = (protocol: string): WireOwner => {
    owned.push(protocol);
    return owner(protocol);
  };
  const wheel = new TimerWheel(clock);
  const connection = new PlainConnection(wire, wheel, {
    expectation,
    protocols: {
      http1: () => taken("h1"),
      http2: () => taken("h2"),
      tls: (_wire, name) => taken(`tls ${name}`),
      tcp: () => taken("tcp"),
    },
    onOver: () => void over.push(1),
  });
  const send = (...pieces: string[]) => {
    // Once there is another owner, what comes is no longer for this one.
    for (const piece of pieces) if (heard.length === 0) connection.onData(latin1(piece));
  };
  return { clock, wire, heard, owned, ends, over, connection, wheel, send };
}

describe("PlainConnection", () => {
  test("PlainConnection hands on what speaks HTTP/2 and what does not, with every byte so far", () => {
    for (
      const [text, protocol] of [
        [`${PREFACE}more`, "h2"],
        ["GET / HTTP/1.1\r\n", "h1"],
        ["POST / HTTP/1.1\r\n", "h1"],
        ["PRI * HTTP/1.1\r\n", "h1"],
        ["\r\nGET", "h1"],
        ["\x01\x02", "tcp"],
      ] as const
    ) {
      const whole = accepted();
      whole.send(text);
      expect(whole.heard).toEqual([`${protocol} ${text}`]);
      const pieces = accepted();
      pieces.send(...text);
      expect(pieces.heard).toHaveLength(1);
      const taken = (pieces.heard[0] as string).length - protocol.length - 1;
      expect(pieces.heard[0]).toBe(`${protocol} ${text.slice(0, taken)}`);
      expect(pieces.clock.pending).toBe(1);
    }
  });

  test("PlainConnection closes when nothing comes, or only the beginning of something", () => {
    const silent = accepted();
    silent.clock.advance(DEFAULT_LIMITS.connectionIdleMs - 1);
    expect(silent.wire.closed).toBe(false);
    silent.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(silent.wire.closed).toBe(true);

    // As slow as a head may be, and no slower: each byte more gives no more time.
    const slow = accepted();
    slow.send("P");
    slow.clock.advance(DEFAULT_LIMITS.requestHeadersMs - 1_000);
    slow.send("R");
    expect(slow.wire.closed).toBe(false);
    slow.clock.advance(1_000 + WHEEL_LATENESS_MS);
    expect(slow.wire.closed).toBe(true);
  });

  test("PlainConnection ends with its peer", () => {
    const { connection, wire, clock, wheel } = accepted();
    connection.onEnd();
    expect(wire.ended).toBe(true);
    connection.onClose();
    clock.advance(20_000);
    expect(wheel.size).toBe(0);
  });

  test("PlainConnection is over once it has another owner, or is closed", () => {
    const handed = accepted();
    handed.send("G");
    expect(handed.over).toHaveLength(1);
    const closed = accepted();
    closed.connection.close();
    expect([closed.wire.terminated, closed.over]).toEqual([true, []]);
    closed.connection.onClose();
    expect(closed.over).toHaveLength(1);
  });

  test("PlainConnection hands on TLS with its server name, and every byte of it", () => {
    const { heard, connection } = accepted();
    const hello = CLIENT_HELLOS.openssl13;
    connection.onData(hello.subarray(0, 3));
    connection.onData(hello.subarray(3, 100));
    expect(heard).toEqual([]);
    connection.onData(Buffer.concat([hello.subarray(100), latin1("more")]));
    expect(heard).toEqual([`tls store ${hello.toString("latin1")}more`]);
  });

  test("PlainConnection closes what began as TLS and is not", () => {
    const { heard, wire, connection } = accepted("any");
    connection.onData(latin1("\x16\x03\x01\x00\x00\x01"));
    expect([wire.terminated, heard]).toEqual([true, []]);
  });

  test("PlainConnection takes for TCP what says nothing for a while, or nothing that tells", () => {
    for (const said of ["", "GET /begun", "\x16\x03"]) {
      const { connection, clock, heard, owned, over } = accepted("any");
      if (said !== "") connection.onData(latin1(said));
      clock.advance(DEFAULT_LIMITS.detectionMs - 1);
      expect(owned).toEqual([]);
      clock.advance(WHEEL_LATENESS_MS + 1);
      expect([owned, over]).toEqual([["tcp"], [1]]);
      expect(heard).toEqual(said === "" ? [] : [`tcp ${said}`]);
    }
  });

  test("PlainConnection gives no more time for each byte more", () => {
    const { connection, clock, owned } = accepted("tls");
    clock.advance(DEFAULT_LIMITS.detectionMs - 1);
    connection.onData(latin1("\x16"));
    clock.advance(WHEEL_LATENESS_MS + 1);
    expect(owned).toEqual(["tcp"]);
  });

  test("PlainConnection takes for TCP a client that has ended before it told", () => {
    const { connection, heard, ends } = accepted("any");
    connection.onData(latin1("QUIT"));
    connection.onEnd();
    expect([heard, ends]).toEqual([["tcp QUIT"], ["tcp"]]);
  });

  test("PlainConnection waits for HTTP where HTTP is declared", () => {
    const { connection, clock, wire, owned } = accepted("http");
    clock.advance(DEFAULT_LIMITS.detectionMs + WHEEL_LATENESS_MS);
    expect(wire.closed).toBe(false);
    connection.onData(latin1("\x16\x03"));
    expect(owned).toEqual(["h1"]);
  });
});
