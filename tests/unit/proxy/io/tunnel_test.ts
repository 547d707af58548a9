import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../../../src/lib/clock.ts";
import { TimerWheel } from "../../../../src/lib/timer_wheel.ts";
import { ByteWriter } from "../../../../src/proxy/io/byte_writer.ts";
import { Tunnel } from "../../../../src/proxy/io/tunnel.ts";
import { FakeWire, latin1, settle } from "../fake_wire.ts";

function build() {
  const wire = new FakeWire();
  const clock = new ManualClock();
  const events: string[] = [];
  const writer = new ByteWriter(wire, () => events.push("writable"));
  const tunnel = new Tunnel(wire, writer, new TimerWheel(clock), DEFAULT_LIMITS.tunnelIdleMs, {
    onBytes: (chunk) => events.push(`bytes ${Buffer.from(chunk).toString("latin1")}`),
    onBytesEnd: () => events.push("end"),
    onBroken: (reason) => events.push(`broken ${reason}`),
    onGone: () => events.push("gone"),
  });
  return { wire, clock, events, tunnel };
}

describe("Tunnel", () => {
  test("Tunnel carries bytes both ways", async () => {
    const { wire, events, tunnel } = build();
    tunnel.onData(latin1("in"));
    expect(tunnel.send(latin1("out"))).toBe(true);
    await settle();
    expect([wire.take(), events]).toEqual(["out", ["bytes in"]]);
  });

  test("Tunnel ends each half on its own, and closes after both", async () => {
    const { wire, events, tunnel } = build();
    tunnel.onEnd();
    tunnel.send(latin1("still"));
    await settle();
    expect([wire.take(), wire.closed, events]).toEqual(["still", false, ["end"]]);
    tunnel.finish();
    expect(wire.ended).toBe(true);
    tunnel.onClose();
    expect(events).toEqual(["end", "gone"]);
  });

  test("Tunnel closes when the peer ends its half after its own, and all is sent", () => {
    const { wire, events, tunnel } = build();
    wire.room = 0;
    tunnel.send(latin1("a"));
    tunnel.finish();
    tunnel.onEnd();
    expect(wire.ended).toBe(false);
    wire.room = 1;
    tunnel.onDrain();
    expect([wire.ended, events]).toEqual([true, ["end"]]);

    const sent = build();
    sent.tunnel.finish();
    sent.tunnel.onEnd();
    expect(sent.wire.ended).toBe(true);
  });

  test("Tunnel takes nothing more from a side that has ended, or once it is gone", async () => {
    const ended = build();
    ended.tunnel.finish();
    expect(ended.tunnel.send(latin1("late"))).toBe(true);
    ended.tunnel.finish();
    const gone = build();
    gone.tunnel.reset();
    expect(gone.tunnel.send(latin1("late"))).toBe(true);
    gone.tunnel.finish();
    await settle();
    expect([ended.wire.written, gone.wire.written, gone.wire.shut]).toEqual(["", "", false]);
  });

  test("Tunnel shuts its half only when everything is sent", () => {
    const { wire, tunnel } = build();
    wire.room = 2;
    tunnel.send(latin1("abc"));
    tunnel.finish();
    expect(wire.shut).toBe(false);
    wire.room = 1;
    tunnel.onDrain();
    expect([wire.take(), wire.shut]).toEqual(["abc", true]);
  });

  test("Tunnel takes a close after its own end for the peer's end, and a reset for a break", () => {
    const whole = build();
    whole.tunnel.finish();
    whole.tunnel.onClose();
    expect(whole.events).toEqual(["end", "gone"]);
    const broken = build();
    broken.tunnel.finish();
    broken.tunnel.onClose(new Error("ECONNRESET"));
    expect(broken.events).toEqual(["gone", "broken closed"]);
    const early = build();
    early.tunnel.onClose();
    expect(early.events).toEqual(["gone", "broken closed"]);
  });

  test("Tunnel resets so that a part never looks whole", () => {
    const { wire, events, tunnel } = build();
    tunnel.reset();
    expect([wire.terminated, wire.ended, events]).toEqual([true, false, ["gone"]]);
    tunnel.onData(latin1("late"));
    tunnel.onClose();
    expect(events).toEqual(["gone"]);
  });

  test("Tunnel pauses and resumes the wire", () => {
    const { wire, tunnel } = build();
    tunnel.pause();
    expect(wire.paused).toBe(true);
    tunnel.resume();
    expect(wire.paused).toBe(false);
  });

  test("Tunnel breaks when nothing moved for an hour, and no earlier", () => {
    const { clock, events, tunnel } = build();
    const half = DEFAULT_LIMITS.tunnelIdleMs / 2;
    for (let i = 0; i < 2; i++) {
      for (let ms = 0; ms < half; ms += 100) clock.advance(100);
      if (i === 0) tunnel.send(latin1("x"));
    }
    expect(events).toEqual([]);
    for (let ms = 0; ms < half + 5_000; ms += 100) clock.advance(100);
    expect(events).toEqual(["gone", "broken timeout"]);
  });
});
