/** Windows (RFC 9113 §5.2, §6.9): never one byte over, none left unused, nothing lost, everybody gets a turn. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import type { ServerStream } from "../../../../src/proxy/exchange.ts";
import { Http2Downstream } from "./downstream.ts";
import {
  data,
  FrameLog,
  get,
  headers,
  PADDED,
  post,
  raw,
  rstStream,
  settings,
  windowUpdate,
} from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

const KIB = 1024;
const WINDOW = 65_535;

/** Sum of the DATA of a stream, as told. */
function bytesOf(lines: readonly string[], id: number): number {
  return lines.reduce((sum, line) => {
    const [type, stream, size = "0"] = line.split(" ");
    if (type !== "DATA" || Number(stream) !== id) return sum;
    return sum +
      (size.startsWith('"')
        ? (JSON.parse(line.replace(/^DATA \d+ | END_STREAM$/g, "")) as string).length
        : Number(size));
  }, 0);
}

/** Begins an answer of unknown length on the stream of that number. */
function begin(down: Http2Downstream, index = 0): ServerStream {
  const { stream } = down.requests[index] as Http2Downstream["last"];
  stream.respond({ status: 200, headers: [], bodyLength: -1 });
  return stream;
}

describe("Sending obeys", () => {
  test("the stream's window to the byte, in frames of the peer's size", async () => {
    const down = await Http2Downstream.greeted([4, 20_000]);
    down.send(headers(1, get(), true));
    const stream = begin(down);
    expect(stream.body(Buffer.alloc(20_000))).toBeTrue();
    expect(stream.body(Buffer.alloc(1))).toBeFalse();
    expect(await down.read()).toEqual(["HEADERS 1 :status=200", "DATA 1 16384", "DATA 1 3616"]);
    expect(await down.exchange(windowUpdate(1, 1))).toEqual(['DATA 1 "\\u0000"']);
    expect(down.last.writable).toBe(1);
  });

  test("the connection's window to the byte, for all streams together", async () => {
    const down = await Http2Downstream.greeted([4, 1_000_000]);
    down.send(headers(1, get(), true), headers(3, get(), true));
    expect(begin(down, 0).body(Buffer.alloc(60_000))).toBeTrue();
    expect(begin(down, 1).body(Buffer.alloc(60_000))).toBeFalse();
    const lines = await down.read();
    expect([bytesOf(lines, 1), bytesOf(lines, 3)]).toEqual([60_000, WINDOW - 60_000]);
    expect(bytesOf(await down.exchange(windowUpdate(0, 10_000)), 3)).toBe(10_000);
    expect(bytesOf(await down.exchange(windowUpdate(0, 100_000)), 3)).toBe(
      60_000 - (WINDOW - 60_000) - 10_000,
    );
  });

  test("a larger SETTINGS_MAX_FRAME_SIZE", async () => {
    const down = await Http2Downstream.greeted([5, 20_000]);
    down.send(headers(1, get(), true));
    begin(down).body(Buffer.alloc(20_001));
    expect(await down.read()).toEqual(["HEADERS 1 :status=200", "DATA 1 20000", 'DATA 1 "\\u0000"']);
  });

  test("a window that SETTINGS opens (§6.9.2)", async () => {
    const down = await Http2Downstream.greeted([4, 0]);
    down.send(headers(1, get(), true));
    begin(down).body(Buffer.alloc(10));
    expect(await down.read()).toEqual(["HEADERS 1 :status=200"]);
    expect(bytesOf(await down.exchange(settings([4, 4])), 1)).toBe(4);
    expect(bytesOf(await down.exchange(settings([4, 100])), 1)).toBe(6);
  });

  test("a window that SETTINGS makes negative (§6.9.2)", async () => {
    const down = await Http2Downstream.greeted([4, 100]);
    down.send(headers(1, get(), true));
    const stream = begin(down);
    stream.body(Buffer.alloc(80));
    stream.body(Buffer.alloc(100));
    await down.read();
    down.send(settings([4, 10]));
    // 100 were sent of 10: 90 are owed.
    expect(bytesOf(await down.exchange(windowUpdate(1, 90)), 1)).toBe(0);
    expect(bytesOf(await down.exchange(windowUpdate(1, 1)), 1)).toBe(1);
  });

  test.each([
    ["an end", null, 'DATA 1 "" END_STREAM'],
    ["trailers", ["a", "b"], "HEADERS 1 END_STREAM a=b"],
  ])("nothing but data: %s goes out while the window is negative", async (_name, trailers, line) => {
    const down = await Http2Downstream.greeted([4, 100]);
    down.send(headers(1, get(), true));
    const stream = begin(down);
    stream.body(Buffer.alloc(80));
    await down.read();
    down.send(settings([4, 10]));
    stream.end(trailers);
    expect(await down.read()).toEqual(["SETTINGS ACK", line]);
    // Nor does the connection's window change by it.
    down.send(headers(3, get(), true), settings([4, 100_000]));
    begin(down, 1).body(Buffer.alloc(100_000));
    expect(bytesOf(await down.read(), 3)).toBe(WINDOW - 80);
  });

  test("the end that waits behind data", async () => {
    const down = await Http2Downstream.greeted([4, 1]);
    down.send(headers(1, get(), true), headers(3, get(), true));
    const [first, second] = [begin(down, 0), begin(down, 1)];
    first.body(Buffer.from("abc"));
    first.end(null);
    second.body(Buffer.from("xyz"));
    second.end(["t", "u"]);
    await down.read();
    expect(await down.exchange(windowUpdate(1, 1), windowUpdate(3, 1))).toEqual(['DATA 1 "b"', 'DATA 3 "y"']);
    expect(await down.exchange(windowUpdate(1, 1), windowUpdate(3, 1))).toEqual([
      'DATA 1 "c" END_STREAM',
      'DATA 3 "z"',
      "HEADERS 3 END_STREAM t=u",
    ]);
  });

  test("a stream that was reset while it waited: nothing of it goes out", async () => {
    const down = await Http2Downstream.greeted([4, 1]);
    down.send(headers(1, get(), true), headers(3, get(), true));
    begin(down, 0).body(Buffer.from("abc"));
    begin(down, 1).body(Buffer.from("xyz"));
    await down.read();
    expect(await down.exchange(rstStream(1, "CANCEL"), windowUpdate(1, 9), windowUpdate(3, 9))).toEqual([
      'DATA 3 "yz"',
    ]);
    expect(down.requests[0]?.reset).toBe("closed");
  });

  test("turns: streams that wait for the connection's window share it", async () => {
    const down = await Http2Downstream.greeted([4, 1_000_000]);
    down.send(...[1, 3, 5].map((id) => headers(id, get(), true)));
    for (const index of [0, 1, 2]) {
      const stream = begin(down, index);
      stream.body(Buffer.alloc(100_000));
      stream.body(Buffer.alloc(100_000));
    }
    await down.read();
    const sent = [0, 0, 0];
    for (let round = 0; round < 18; round++) {
      const lines = await down.exchange(windowUpdate(0, 16_384));
      [1, 3, 5].forEach((id, i) => sent[i] = (sent[i] as number) + bytesOf(lines, id));
    }
    for (const bytes of sent) expect(bytes).toBe(6 * 16_384);
  });

  test("turns: streams that wait for the socket share it", async () => {
    const down = await Http2Downstream.greeted([4, 10_000_000]);
    down.send(windowUpdate(0, 10_000_000), ...[1, 3].map((id) => headers(id, get(), true)));
    await down.read();
    down.wire.room = 0;
    for (const index of [0, 1]) begin(down, index).body(Buffer.alloc(400_000));
    const lines: string[] = [];
    for (let round = 0; round < 5; round++) {
      down.drain(80_000);
      lines.push(...await down.read());
    }
    const [first, second] = [bytesOf(lines, 1), bytesOf(lines, 3)];
    expect(first + second).toBeGreaterThan(250_000);
    expect(Math.abs(first - second)).toBeLessThanOrEqual(5 * 16_384);
  });
});

describe("A socket that does not take everything", () => {
  test("makes the sources wait: no more than the high water and a frame is held for it", async () => {
    const down = await Http2Downstream.greeted([4, 10_000_000]);
    down.send(
      windowUpdate(0, 100_000_000),
      ...Array.from({ length: 100 }, (_, i) => headers(2 * i + 1, get(), true)),
    );
    await down.read();
    down.wire.room = 0;
    const wrote: number[] = [];
    for (let index = 0; index < 100; index++) {
      const stream = begin(down, index);
      for (let piece = 0; stream.body(Buffer.alloc(16 * KIB)); piece++) wrote[index] = piece;
    }
    expect(wrote.reduce((sum, pieces) => sum + pieces, 0)).toBeLessThan(8);
    let total = 0;
    for (let round = 0; round < 200; round++) {
      down.drain(10_000);
      total += (await down.read()).reduce(
        (sum, line) => sum + (line.startsWith("DATA") ? Number(line.split(" ")[2]) : 0),
        0,
      );
    }
    expect(total).toBeGreaterThanOrEqual(100 * 16 * KIB);
  });

  test.each([[0], [Number.POSITIVE_INFINITY]])(
    "loses, doubles and reorders nothing, whatever the sizes of the pieces (room: %d)",
    async (room) => {
      const down = await Http2Downstream.greeted([4, 0]);
      down.send(windowUpdate(0, 10_000_000), ...[1, 3].map((id) => headers(id, get(), true)));
      await down.read();
      down.wire.room = room;
      // Small pieces fill the gathering buffers beyond the high water; the large one after them is a write of its own.
      const sizes = [...Array.from({ length: 40 }, () => 4_000), 16_000, 100, 16_000, 4_000, 16_000];
      const wanted = ["", ""];
      const streams = [begin(down, 0), begin(down, 1)];
      let n = 0;
      for (const size of sizes) {
        streams.forEach((stream, i) => {
          const text = `${n++}.`.padEnd(size, String.fromCharCode(97 + (n % 26)));
          wanted[i] += text;
          stream.body(Buffer.from(text));
        });
      }
      down.send(windowUpdate(1, 10_000_000), windowUpdate(3, 10_000_000));
      const got = await bodies(down, [1, 3], () => down.drain());
      expect(got[0] === wanted[0]).toBeTrue();
      expect(got[1] === wanted[1]).toBeTrue();
    },
  );

  test("and a window that opens for what waits: still not one byte over", async () => {
    const down = await Http2Downstream.greeted([4, 0]);
    down.send(...[1, 3].map((id) => headers(id, get(), true)));
    const stream = begin(down);
    for (const size of [...Array.from({ length: 24 }, () => 4_000), 16_000, 16_000, 16_000]) {
      stream.body(Buffer.alloc(size));
    }
    // 24 small pieces, and 6,000 bytes of a large one.
    down.send(windowUpdate(0, 102_000 - WINDOW), windowUpdate(1, 1_000_000));
    const lines = await down.read();
    expect(bytesOf(lines, 1)).toBe(102_000);
  });

  test("headers of many frames are not torn apart by what waited", async () => {
    const down = await Http2Downstream.greeted([4, 70_000]);
    down.send(windowUpdate(0, 10_000_000), ...[1, 3].map((id) => headers(id, get(), true)));
    const first = begin(down, 0);
    for (let i = 0; i < 20; i++) first.body(Buffer.alloc(4_000));
    down.send(windowUpdate(1, 1_000_000));
    const large = Array.from({ length: 20 }, (_, i) => [`x-${i}`, "y".repeat(2_000)]).flat();
    down.last.stream.respond({ status: 200, headers: large, bodyLength: 0 });
    const lines = await down.read();
    expect(lines.find((line) => line.startsWith("HEADERS 3"))?.length).toBeGreaterThan(40_000);
    expect(bytesOf([...lines, ...await down.read()], 1)).toBe(80_000);
  });
});

/** The bodies of these streams, read after each turn for as long as something comes. */
async function bodies(down: Http2Downstream, ids: readonly number[], go: () => void): Promise<string[]> {
  const got = ids.map(() => "");
  const log = new FrameLog();
  for (let quiet = 0; quiet < 2;) {
    go();
    await new Promise<void>((resolve) => setImmediate(resolve));
    const frames = log.cut(down.wire.take());
    quiet = frames.length === 0 ? quiet + 1 : 0;
    for (const { type, id, payload } of frames) {
      if (type === 0) got[ids.indexOf(id)] += payload.toString("latin1");
    }
  }
  return got;
}

describe("Receiving", () => {
  const chunk = Buffer.alloc(16 * KIB, "x");
  const chunks = (bytes: number) => chunksOf(1, bytes);
  const chunksOf = (id: number, bytes: number) =>
    Array.from(
      { length: Math.ceil(bytes / chunk.length) },
      (_, i) => data(id, chunk.subarray(0, bytes - i * chunk.length)),
    );

  test("gives credit in halves of a window, for the stream and for the connection", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    const half = DEFAULT_LIMITS.http2StreamWindowBytes / 2;
    expect(await down.exchange(...chunks(half - chunk.length))).toEqual([]);
    // With the first half it grows, by as much as makes its whole buffer.
    const growth = DEFAULT_LIMITS.http2StreamBufferBytes - DEFAULT_LIMITS.http2StreamWindowBytes;
    expect(await down.exchange(data(1, chunk))).toEqual([`WINDOW_UPDATE 1 ${half + growth}`]);
    expect(await down.exchange(...chunks(128 * KIB - chunk.length))).toEqual([]);
    expect(await down.exchange(data(1, chunk))).toEqual([`WINDOW_UPDATE 1 ${128 * KIB}`]);
    expect(await down.exchange(...chunks(384 * KIB))).toEqual([
      ...[1, 1].map((id) => `WINDOW_UPDATE ${id} ${128 * KIB}`),
      `WINDOW_UPDATE 0 ${512 * KIB}`,
      `WINDOW_UPDATE 1 ${128 * KIB}`,
    ]);
  });

  test("a paused reader stops the credit: no more than the stream's window comes", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    down.last.stream.pauseRequest();
    expect(await down.exchange(...chunks(DEFAULT_LIMITS.http2StreamWindowBytes))).toEqual([]);
    expect(down.last.body).toHaveLength(DEFAULT_LIMITS.http2StreamWindowBytes);
    down.last.stream.resumeRequest();
    expect(await down.read()).toEqual([`WINDOW_UPDATE 1 ${DEFAULT_LIMITS.http2StreamWindowBytes}`]);
    const growth = DEFAULT_LIMITS.http2StreamBufferBytes - DEFAULT_LIMITS.http2StreamWindowBytes;
    expect(await down.exchange(...chunks(DEFAULT_LIMITS.http2StreamWindowBytes))).toEqual([
      `WINDOW_UPDATE 1 ${DEFAULT_LIMITS.http2StreamWindowBytes / 2 + growth}`,
    ]);
  });

  test("one byte above the stream's window is an error of the stream (§6.9.1)", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    down.last.stream.pauseRequest();
    down.send(...chunks(DEFAULT_LIMITS.http2StreamWindowBytes));
    expect(await down.exchange(data(1, "x"))).toEqual(["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
    expect(down.last.reset).toBe("protocol-error");
  });

  test("one slow reader does not hold up the others", async () => {
    const down = await Http2Downstream.greeted();
    const ids = Array.from({ length: 8 }, (_, i) => 2 * i + 1);
    down.send(...ids.map((id) => headers(id, post())));
    for (const { stream } of down.requests.slice(0, 7)) stream.pauseRequest();
    for (const id of ids) down.send(...chunksOf(id, DEFAULT_LIMITS.http2StreamWindowBytes));
    expect(down.closed).toBe(0);
    expect((await down.read()).some((line) => line.startsWith("WINDOW_UPDATE 15 "))).toBeTrue();
  });

  test("all streams of a connection, unread, hold their first windows and one connection's worth", async () => {
    const { http2Streams, http2StreamWindowBytes, http2ConnectionWindowBytes } = DEFAULT_LIMITS;
    const down = await Http2Downstream.greeted();
    const ids = Array.from({ length: http2Streams }, (_, i) => 2 * i + 1);
    const windows = new Map(ids.map((id) => [id, http2StreamWindowBytes]));
    const send = async (id: number, bytes: number) => {
      windows.set(id, windows.get(id) as number - bytes);
      for (const line of await down.exchange(...chunksOf(id, bytes))) {
        const [what, at, credit] = line.split(" ");
        const left = windows.get(Number(at));
        if (what === "WINDOW_UPDATE" && left !== undefined) windows.set(Number(at), left + Number(credit));
      }
    };
    down.send(...ids.map((id) => headers(id, post())));
    // Read at first, until each window has grown as far as it will.
    for (const id of ids) await send(id, http2StreamWindowBytes);
    for (const { stream } of down.requests) stream.pauseRequest();
    const read = down.requests.reduce((sum, { body }) => sum + body.length, 0);
    const left = [...windows.values()].reduce((sum, bytes) => sum + bytes, 0);
    for (const id of ids) await send(id, windows.get(id) as number);
    const unread = down.requests.reduce((sum, { body }) => sum + body.length, 0) - read;
    expect(unread).toBe(left);
    expect(unread).toBeLessThanOrEqual(http2Streams * http2StreamWindowBytes + http2ConnectionWindowBytes);
    expect(unread).toBeGreaterThan(http2ConnectionWindowBytes);
    expect([...windows.values()].every((bytes) => bytes === 0)).toBeTrue();
    expect(down.closed).toBe(0);
  });

  test("a stream that ends gives back what its window grew by", async () => {
    const down = await Http2Downstream.greeted();
    const { http2StreamWindowBytes, http2StreamBufferBytes, http2ConnectionWindowBytes } = DEFAULT_LIMITS;
    const growth = http2StreamBufferBytes - http2StreamWindowBytes;
    const half = http2StreamWindowBytes / 2;
    const whole = Math.floor(http2ConnectionWindowBytes / growth);
    const grown = async (id: number) => {
      down.send(headers(id, post()));
      const lines = await down.exchange(...chunksOf(id, half));
      return Number(lines.find((line) => line.startsWith(`WINDOW_UPDATE ${id} `))?.split(" ")[2]) - half;
    };
    for (let i = 0; i < whole; i++) expect(await grown(2 * i + 1)).toBe(growth);
    expect(await grown(2 * whole + 1)).toBe(http2ConnectionWindowBytes - whole * growth);
    expect(await grown(2 * whole + 3)).toBe(0);
    down.requests[0]?.stream.reset();
    expect(await grown(2 * whole + 5)).toBe(growth);
  });

  test("padding counts, and what comes for a stream that is gone counts for the connection", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    const padded = raw(
      0,
      PADDED,
      1,
      Buffer.concat([Buffer.from([255]), Buffer.from("x"), Buffer.alloc(255)]),
    );
    const lines = await down.exchange(...Array.from({ length: 511 }, () => padded));
    const growth = DEFAULT_LIMITS.http2StreamBufferBytes - DEFAULT_LIMITS.http2StreamWindowBytes;
    expect(lines).toEqual([`WINDOW_UPDATE 1 ${128 * 257 + growth}`]);
    down.last.stream.reset();
    const late = await down.exchange(...Array.from({ length: 32 }, () => data(1, chunk)));
    expect(late.some((line) => line.startsWith("WINDOW_UPDATE 0 "))).toBeTrue();
  });

  test("no credit for a stream that has ended", async () => {
    const up = await Http2Upstream.greeted();
    const { stream, response } = up.request();
    await up.read();
    stream.pauseResponse();
    up.answer(
      headers(1, [":status", "200"]),
      ...chunks(DEFAULT_LIMITS.http2StreamWindowBytes - chunk.length),
      data(1, chunk, true),
    );
    expect(response.ended).toBeTrue();
    stream.resumeResponse();
    expect(await up.read()).toEqual([]);
  });
});
