import { describe, expect, test } from "bun:test";
import type { ServerStream } from "../../../../src/proxy/exchange.ts";
import { StreamWire } from "../../../../src/proxy/io/stream_wire.ts";
import { setOwner } from "../../../../src/runtime/wire.ts";
import { latin1, settle } from "../fake_wire.ts";

function build() {
  const events: string[] = [];
  const state = { room: true };
  const stream: ServerStream = {
    inform: () => events.push("stream inform"),
    respond: ({ status }) => events.push(`stream ${status}`),
    body: (chunk) => {
      events.push(`stream body ${Buffer.from(chunk).toString("latin1")}`);
      return state.room;
    },
    end: () => events.push("stream end"),
    reset: () => events.push("stream reset"),
    pauseRequest: () => events.push("stream pause"),
    resumeRequest: () => events.push("stream resume"),
  };
  const wire = new StreamWire(stream, "192.0.2.1");
  setOwner(wire, {
    onData: (chunk) => events.push(`data ${chunk.toString("latin1")}`),
    onDrain: () => events.push("drain"),
    onEnd: () => events.push("end"),
    onClose: (error) => events.push(`close${error === undefined ? "" : ` ${error.message}`}`),
  });
  return { wire, events, state };
}

describe("StreamWire", () => {
  test("StreamWire opens its tunnel after the callback, unless that has closed it", async () => {
    const open = build();
    expect(open.events).toEqual([]);
    await settle();
    expect(open.events).toEqual(["stream 200"]);
    const shut = build();
    shut.wire.terminate();
    await settle();
    expect(shut.events).toEqual(["stream reset", "close"]);
  });

  test("StreamWire carries bytes both ways, and keeps none of a writer's buffer", () => {
    const { wire, events } = build();
    wire.onRequestBody(latin1("xinx").subarray(1, 3));
    const buffer = latin1("-out-");
    expect(wire.write(buffer, 1, 3)).toBe(3);
    expect(events).toEqual(["data in", "stream body out"]);
  });

  test("StreamWire takes nothing while the stream is full, and says when it drains", () => {
    const { wire, events, state } = build();
    state.room = false;
    expect([wire.write(latin1("a")), wire.write(latin1("b"))]).toEqual([1, 0]);
    state.room = true;
    wire.onDownstreamWritable();
    expect(wire.write(latin1("b"))).toBe(1);
    expect(events).toEqual(["stream body a", "drain", "stream body b"]);
  });

  test("StreamWire ends each half on its own, and closes after both", () => {
    const first = build();
    first.wire.shutdown();
    expect(first.wire.write(latin1("late"))).toBe(-1);
    first.wire.onRequestEnd();
    expect(first.events).toEqual(["stream end", "close"]);
    const second = build();
    second.wire.onRequestEnd();
    second.wire.end();
    second.wire.end();
    expect(second.events).toEqual(["end", "stream end", "close"]);
  });

  test("StreamWire is closed by a reset of either end, and hears nothing after it", () => {
    const { wire, events } = build();
    wire.onDownstreamReset();
    wire.onRequestBody(latin1("late"));
    wire.onRequestEnd();
    wire.onDownstreamWritable();
    wire.terminate();
    wire.pause();
    expect(wire.write(latin1("late"))).toBe(-1);
    expect(events).toEqual(["close The tunnel was reset"]);
  });
});
