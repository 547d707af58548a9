/** Header blocks and streams that are too many or too large: each limit, and one above (CVE-2024-27316, HPACK bombs). */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { HEADER_BLOCK_EXTRA_BYTES, MESH_HEADER_BLOCK_BYTES_MAX } from "../../../../src/proxy/http2/limits.ts";
import { meshHopLimits } from "../../../../src/proxy/mesh_hop.ts";
import { Http2Downstream } from "./downstream.ts";
import { CONTINUATION, END_HEADERS, get, HEADERS, headers, literals, post, raw } from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

/** What the process holds after a collection: objects and buffers. */
function heldBytes(): number {
  Bun.gc(true);
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

describe("Http2ServerConnection limits header blocks:", () => {
  /** A header list of exactly so many bytes as SETTINGS_MAX_HEADER_LIST_SIZE counts them. */
  function listOf(bytes: number): string[] {
    const fields = get("x", "");
    const used = fields.reduce((sum, text) => sum + text.length, 0) + fields.length / 2 * 32;
    return fields.with(-1, "y".repeat(bytes - used));
  }

  /** HEADERS, then CONTINUATION as needed. */
  function block(id: number, bytes: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 16_384) {
      const flags = at + 16_384 >= bytes.length ? END_HEADERS : 0;
      frames.push(
        raw(
          at === 0 ? HEADERS : CONTINUATION,
          flags | (at === 0 ? 1 : 0),
          id,
          bytes.subarray(at, at + 16_384),
        ),
      );
    }
    return frames;
  }

  const TOO_LARGE = "HEADERS 1 END_STREAM :status=431 content-length=0";

  test("decoded bytes", async () => {
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(...block(1, literals(listOf(DEFAULT_LIMITS.requestHeaderBytes))))).toEqual([]);
    expect(down.requests).toHaveLength(1);
    const other = await Http2Downstream.greeted();
    expect(await other.exchange(...block(1, literals(listOf(DEFAULT_LIMITS.requestHeaderBytes + 1)))))
      .toEqual([
        TOO_LARGE,
      ]);
    expect(other.requests).toEqual([]);
    expect(other.malformed).toEqual(["431 http2.head_too_large"]);
    // The connection goes on, and the table is as the client thinks it is.
    other.send(headers(3, get(), true));
    expect(other.requests).toHaveLength(1);
  });

  test("decoded bytes of a gRPC request: it is told as gRPC wants it", async () => {
    const down = await Http2Downstream.greeted();
    const fields = post(
      "content-type",
      "application/grpc+proto",
      "x-large",
      "x".repeat(DEFAULT_LIMITS.requestHeaderBytes),
    );
    expect(await down.exchange(...block(1, literals(fields)))).toEqual([
      "HEADERS 1 END_STREAM :status=200 content-type=application/grpc grpc-status=2 " +
      "grpc-message=http2.head_too_large content-length=0",
    ]);
    expect(down.malformed).toEqual(["431 http2.head_too_large"]);
  });

  test("fields, not counting pseudo-header fields", async () => {
    const extra = (count: number) => get(...Array.from({ length: count }, (_, i) => [`x-${i}`, ""]).flat());
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(headers(1, extra(DEFAULT_LIMITS.requestHeaderCount), true))).toEqual([]);
    expect(
      await (await Http2Downstream.greeted()).exchange(
        headers(1, extra(DEFAULT_LIMITS.requestHeaderCount + 1), true),
      ),
    ).toEqual(
      [TOO_LARGE],
    );
  });

  test("cookie crumbs", async () => {
    const crumbs = (count: number) => get(...Array.from({ length: count }, () => ["cookie", "a=b"]).flat());
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(headers(1, crumbs(DEFAULT_LIMITS.requestHeaderCount), true))).toEqual([]);
    expect(
      await (await Http2Downstream.greeted()).exchange(
        headers(1, crumbs(DEFAULT_LIMITS.requestHeaderCount + 1), true),
      ),
    )
      .toEqual([TOO_LARGE]);
  });

  /** A block of exactly so many octets. */
  function fill(bytes: number): Buffer {
    const head = literals(get());
    return Buffer.concat([head, literals(["x", "y".repeat(bytes - head.length - 7)])]);
  }

  test("octets on the way", async () => {
    const most = DEFAULT_LIMITS.requestHeaderBytes + HEADER_BLOCK_EXTRA_BYTES;
    expect(fill(most)).toHaveLength(most);
    expect(
      await (await Http2Downstream.greeted()).exchange(
        ...block(1, fill(most)),
      ),
    )
      .toEqual([TOO_LARGE]);
    const down = await Http2Downstream.greeted();
    expect(
      (await down.exchange(
        ...block(1, fill(most + 1)),
      )).at(-1),
    ).toBe(
      "GOAWAY 0 ENHANCE_YOUR_CALM",
    );
  });

  test("octets from another proxy, whose own limits may be wider: others share the connection", async () => {
    const most = MESH_HEADER_BLOCK_BYTES_MAX;
    const hop = () => Http2Downstream.limited(meshHopLimits(DEFAULT_LIMITS));
    const down = await hop();
    expect(fill(most)).toHaveLength(most);
    expect(await down.exchange(...block(1, fill(most)))).toEqual([TOO_LARGE]);
    down.send(headers(3, get(), true));
    expect(down.requests).toHaveLength(1);
    expect((await (await hop()).exchange(...block(1, fill(most + 1)))).at(-1)).toBe(
      "GOAWAY 0 ENHANCE_YOUR_CALM",
    );
  });

  test("an HPACK bomb: one entry of 4 KB, named 60,000 times", async () => {
    const down = await Http2Downstream.greeted();
    const entry = Buffer.concat([
      Buffer.from([0x40, 1, 0x78]),
      literals(["", "y".repeat(4_000)]).subarray(2),
    ]);
    const bomb = Buffer.concat([literals(get()), entry, Buffer.alloc(60_000, 0xbe)]);
    const before = heldBytes();
    expect(await down.exchange(...block(1, bomb))).toEqual([TOO_LARGE]);
    expect(heldBytes() - before).toBeLessThan(2_000_000);
  });

  test("a response that is too large is a reset of its stream", async () => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    await up.read();
    up.answer(
      headers(
        1,
        [
          ":status",
          "200",
          ...Array.from({ length: DEFAULT_LIMITS.requestHeaderCount + 1 }, () => ["a", "b"]).flat(),
        ],
        true,
      ),
    );
    expect(response.reset).toEqual(["protocol-error", true]);
    expect(await up.read()).toEqual(["RST_STREAM 1 PROTOCOL_ERROR"]);
  });
});

describe("Http2ServerConnection limits streams:", () => {
  test("above SETTINGS_MAX_CONCURRENT_STREAMS they are refused", async () => {
    const down = await Http2Downstream.greeted();
    for (let n = 0; n < DEFAULT_LIMITS.http2Streams; n++) down.send(headers(2 * n + 1, get(), true));
    expect(await down.read()).toEqual([]);
    expect(down.requests).toHaveLength(DEFAULT_LIMITS.http2Streams);
    expect(await down.exchange(headers(201, get(), true))).toEqual(["RST_STREAM 201 REFUSED_STREAM"]);
    expect(down.requests).toHaveLength(DEFAULT_LIMITS.http2Streams);
    down.last.answer();
    await down.read();
    expect(await down.exchange(headers(203, get(), true))).toEqual([]);
    expect(down.requests).toHaveLength(DEFAULT_LIMITS.http2Streams + 1);
  });

  test("a client that opens more from the start is refused politely, again and again", async () => {
    const down = await Http2Downstream.greeted();
    for (let n = 0; n < 5_000; n++) {
      down.send(headers(2 * n + 1, get(), true));
      if (n % 100 === 0) await down.read();
    }
    expect(down.closed).toBe(0);
    expect(down.requests).toHaveLength(DEFAULT_LIMITS.http2Streams);
  });
});
