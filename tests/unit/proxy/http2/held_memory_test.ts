/** What a connection holds on to, of floods and of what nobody reads. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { settle } from "../fake_wire.ts";
import { Http2Downstream } from "./downstream.ts";
import { CLIENT_PREFACE, data, FrameLog, headers, ping, settings, windowUpdate } from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";
import { FLOODS, REQUEST } from "./floods.ts";

/** What the process holds after a collection: objects and buffers. */
function heldBytes(): number {
  Bun.gc(true);
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

describe("Memory does not grow by more than a few megabytes:", () => {
  /** Bytes of one flood that lasts. */
  test.each(FLOODS.map((flood) => [flood.name, flood] as const))(
    "%s, on connection after connection",
    async (_name, flood) => {
      const frames = [
        ...flood.first ?? [],
        ...Array.from({ length: Math.min(flood.limit, 300) + 1 }, (_, n) => flood.round(n)).flat(),
      ];
      const bytes = Buffer.concat([CLIENT_PREFACE, settings(), ...frames]);
      const run = async (times: number) => {
        for (let i = 0; i < times; i++) {
          const down = new Http2Downstream();
          down.connection.onData(bytes);
          down.connection.onClose();
          if (i % 20 === 0) await down.read();
        }
      };
      await run(40);
      const before = heldBytes();
      await run(120);
      expect(heldBytes() - before).toBeLessThan(6_000_000);
    },
  );

  test("bodies in single octets that nobody reads cost what they hold", async () => {
    const source = await Http2Downstream.greeted();
    const sink = await Http2Upstream.greeted([4, 0]);
    source.send(headers(1, REQUEST));
    const { stream } = sink.request({ method: "POST", bodyLength: -1 });
    source.last.stream.pauseRequest();
    source.last.onRequestBody = (chunk) => void stream.body(chunk);
    const octet = data(1, "x");
    const before = heldBytes();
    for (let sent = 0; sent < DEFAULT_LIMITS.http2StreamWindowBytes; sent += 64) {
      source.send(...Array.from({ length: 64 }, () => octet));
    }
    expect(heldBytes() - before).toBeLessThan(4_000_000);
    expect(source.closed).toBe(0);
    sink.answer(
      windowUpdate(1, DEFAULT_LIMITS.http2StreamWindowBytes),
      windowUpdate(0, DEFAULT_LIMITS.http2StreamWindowBytes),
    );
    await settle();
    const frames = new FrameLog().cut(sink.wire.take()).filter(({ type }) => type === 0);
    expect(frames.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(
      DEFAULT_LIMITS.http2StreamWindowBytes,
    );
  });

  test("an octet that waits does not hold on to all that came with it", async () => {
    const source = await Http2Downstream.greeted();
    const sink = await Http2Upstream.greeted([4, 0]);
    source.send(headers(1, REQUEST), headers(3, REQUEST));
    const { stream } = sink.request({ method: "POST", bodyLength: -1 });
    const [slow, fast] = source.requests as [Http2Downstream["last"], Http2Downstream["last"]];
    slow.stream.pauseRequest();
    slow.onRequestBody = (chunk) => void stream.body(chunk);
    fast.onRequestBody = () => {};
    const filler = Array.from({ length: 6 }, () => data(3, Buffer.alloc(16_384)));
    const before = heldBytes();
    for (let i = 0; i < 400; i++) {
      source.send(data(1, "x"), ...filler);
      if (i % 50 === 0) await source.read();
    }
    expect(heldBytes() - before).toBeLessThan(6_000_000);
    expect(source.closed).toBe(0);
  });

  test("an idle connection does not hold on to the last large piece that it read", async () => {
    const piece = Buffer.concat([
      data(1, Buffer.alloc(16_000)),
      ...Array.from({ length: 13 }, () => data(1, Buffer.alloc(16_000))),
    ]);
    const before = heldBytes();
    const connections: Http2Downstream[] = [];
    for (let i = 0; i < 60; i++) {
      const down = new Http2Downstream();
      down.connection.onData(Buffer.concat([CLIENT_PREFACE, settings(), headers(1, REQUEST)]));
      down.last.onRequestBody = () => {};
      // The beginning of another frame stays behind.
      down.connection.onData(Buffer.concat([piece, ping().subarray(0, 5)]));
      connections.push(down);
    }
    await connections[0]?.read();
    expect(heldBytes() - before).toBeLessThan(4_000_000);
    for (const down of connections) expect(down.closed).toBe(0);
  });
});
