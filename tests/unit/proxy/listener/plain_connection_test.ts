import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel, WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { HEAD_TIMEOUT_MS, IDLE_TIMEOUT_MS } from "../../../../src/proxy/http1/limits.ts";
import { PlainConnection } from "../../../../src/proxy/listener/plain_connection.ts";
import type { WireOwner } from "../../../../src/runtime/socket.ts";
import { FakeWire, latin1 } from "../fake_wire.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

function accepted() {
  const clock = new ManualClock();
  const wire = new FakeWire();
  const heard: string[] = [];
  const over: number[] = [];
  const owner = (protocol: string): WireOwner => ({
    onData: (chunk) => void heard.push(`${protocol} ${chunk.toString("latin1")}`),
    onDrain() {},
    onEnd() {},
    onClose() {},
  });
  const wheel = new TimerWheel(clock);
  const connection = new PlainConnection(
    wire,
    wheel,
    { http1: () => owner("h1"), http2: () => owner("h2") },
    () => void over.push(1),
  );
  const send = (...pieces: string[]) => {
    // Once there is another owner, what comes is no longer for this one.
    for (const piece of pieces) if (heard.length === 0) connection.onData(latin1(piece));
  };
  return { clock, wire, heard, over, connection, wheel, send };
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
        ["\x16\x03\x01", "h1"],
      ] as const
    ) {
      const whole = accepted();
      whole.send(text);
      expect(whole.heard).toEqual([`${protocol} ${text}`]);
      const pieces = accepted();
      pieces.send(...text);
      expect(pieces.heard).toHaveLength(1);
      expect(pieces.heard[0]).toBe(`${protocol} ${text.slice(0, (pieces.heard[0] as string).length - 3)}`);
      expect(pieces.clock.pending).toBe(1);
    }
  });

  test("PlainConnection closes when nothing comes, or only the beginning of something", () => {
    const silent = accepted();
    silent.clock.advance(IDLE_TIMEOUT_MS - 1);
    expect(silent.wire.closed).toBe(false);
    silent.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(silent.wire.closed).toBe(true);

    // As slow as a head may be, and no slower: each byte more gives no more time.
    const slow = accepted();
    slow.send("P");
    slow.clock.advance(HEAD_TIMEOUT_MS - 1_000);
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
});
