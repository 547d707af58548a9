/** Which header lists are requests (RFC 9113 §8), what becomes of them, and what is malformed. */
import { describe, expect, test } from "bun:test";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { LINGER_MS } from "../../../../src/proxy/http2/limits.ts";
import { Http2Downstream } from "./downstream.ts";
import { MALFORMED_HEADS, pseudo } from "./malformed_heads.ts";
import {
  CONTINUATION,
  data,
  END_HEADERS,
  get,
  HEADERS,
  headers,
  literals,
  post,
  raw,
  rstStream,
} from "./raw_frames.ts";

describe("Http2ServerConnection takes for malformed (§8.1.1):", () => {
  test.each([...MALFORMED_HEADS])("%s", async (_name, fields) => {
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(headers(1, fields))).toEqual(["RST_STREAM 1 PROTOCOL_ERROR"]);
    expect(down.requests).toEqual([]);
    expect(down.malformed).toEqual(["400 http2.malformed_request"]);
    expect(down.closed).toBe(0);
  });

  test("a message whose content-length is above zero and that ends with its head", async () => {
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(headers(1, post("content-length", "1"), true))).toEqual([
      "RST_STREAM 1 PROTOCOL_ERROR",
    ]);
  });

  test("every control character in a value, and every upper-case letter in a name", async () => {
    const bad = Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code)).concat("\x7f");
    const values = bad.filter((character) => character !== "\t").map((character) =>
      get("a", `b${character}c`)
    );
    const names = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ", ...bad, "\x80", "\xff"].map((character) =>
      get(`a${character}c`, "b")
    );
    for (const fields of [...values, ...names]) {
      const down = await Http2Downstream.greeted();
      expect(await down.exchange(headers(1, fields, true))).toEqual(["RST_STREAM 1 PROTOCOL_ERROR"]);
    }
  });
});

describe("Http2ServerConnection understands", () => {
  async function head(fields: string[], ended = true) {
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(headers(1, fields, ended))).toEqual([]);
    return down.last.head;
  }

  test("a request with its fields in order", async () => {
    expect(await head(get("b", "1", "a", "", "b", "2", "x", "\xe9\t\xff"))).toEqual({
      method: "GET",
      scheme: "http",
      authority: "a",
      path: "/",
      headers: ["b", "1", "a", "", "b", "2", "x", "\xe9\t\xff"],
      bodyLength: 0,
      tunnel: null,
      http2: true,
    });
  });

  test("a value that ends with the octet A0, as `voilà` in UTF-8 does", async () => {
    const text = Buffer.from("voilà").toString("latin1");
    expect((await head(get("x", text))).headers).toEqual(["x", text]);
  });

  test("§8.2.3: cookie crumbs as one field", async () => {
    expect((await head(get("cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3"))).headers).toEqual(
      ["cookie", "a=1; b=2; c=3", "x", "y"],
    );
  });

  test("host in place of :authority, or beside it", async () => {
    expect(await head(pseudo({ ":authority": null }).concat("host", "b:80"))).toMatchObject({
      authority: "b:80",
      headers: [],
    });
    expect(await head(get("host", "a"))).toMatchObject({ authority: "a", headers: [] });
    expect(await head(pseudo({ ":authority": null }))).toMatchObject({ authority: "" });
  });

  test("te: trailers, which goes no further", async () => {
    expect((await head(get("te", "trailers"))).headers).toEqual([]);
  });

  test("OPTIONS * and a scheme in any case", async () => {
    expect(await head(pseudo({ ":method": "OPTIONS", ":path": "*", ":scheme": "HTTP" }))).toMatchObject({
      path: "*",
      scheme: "http",
    });
  });

  test("§8.5: CONNECT", async () => {
    const fields = pseudo({ ":method": "CONNECT", ":path": null, ":scheme": null, ":authority": "a:443" });
    expect(await head(fields, false)).toMatchObject({
      method: "CONNECT",
      authority: "a:443",
      path: "",
      tunnel: "connect",
    });
  });

  test("how long the body is: by content-length, or not known, or nothing", async () => {
    expect((await head(post("content-length", "7"), false)).bodyLength).toBe(7);
    expect((await head(post("content-length", "7", "content-length", "7"), false)).bodyLength).toBe(7);
    expect((await head(post(), false)).bodyLength).toBe(-1);
    expect((await head(post("content-length", "0"), true)).bodyLength).toBe(0);
  });

  test("body and trailers", async () => {
    const down = await Http2Downstream.greeted();
    await down.exchange(
      headers(1, post("content-length", "4")),
      data(1, "ab"),
      data(1, "cd"),
      headers(1, ["x", "y"], true),
    );
    expect(down.last).toMatchObject({ body: "abcd", ended: true, trailers: ["x", "y"], reset: null });
  });

  test("a header block in as many pieces as there are octets, up to the limit", async () => {
    const block = literals(get());
    const down = await Http2Downstream.greeted();
    const pieces = [...block].map((octet, i) =>
      raw(i === 0 ? HEADERS : CONTINUATION, i === block.length - 1 ? END_HEADERS : 0, 1, Buffer.from([octet]))
    );
    expect(await down.exchange(...pieces)).toEqual([]);
    expect(down.last.head.path).toBe("/");
  });
});

describe("Http2ServerConnection answers", () => {
  async function answered(fields: string[], answer: (down: Http2Downstream) => void): Promise<string[]> {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, fields, true));
    answer(down);
    return await down.read();
  }

  test("the last piece of a known length and the end in one frame", async () => {
    expect(await answered(get(), ({ last }) => last.answer("hello", ["x", "y"]))).toEqual([
      "HEADERS 1 :status=200 x=y content-length=5",
      'DATA 1 "hello" END_STREAM',
    ]);
  });

  test("without a body in one frame", async () => {
    expect(await answered(get(), ({ last }) => last.answer())).toEqual([
      "HEADERS 1 END_STREAM :status=200 content-length=0",
    ]);
  });

  test("HEAD with the length and nothing else", async () => {
    expect(await answered(["", "", ...get()].slice(2).with(1, "HEAD"), ({ last }) => last.answer("hello")))
      .toEqual([
        "HEADERS 1 END_STREAM :status=200 content-length=5",
      ]);
  });

  test.each([204, 304])("%d without a body", async (status) => {
    const lines = await answered(get(), ({ last: { stream } }) => {
      stream.respond({ status, headers: [], bodyLength: -1 });
      stream.end(null);
    });
    expect(lines).toEqual([`HEADERS 1 END_STREAM :status=${status}`]);
  });

  test("1xx before the answer, and trailers after it", async () => {
    const lines = await answered(get(), ({ last: { stream } }) => {
      stream.inform(103, ["link", "</a>"]);
      stream.respond({ status: 200, headers: [], bodyLength: -1 });
      stream.body(Buffer.from("ab"));
      stream.end(["grpc-status", "0"]);
    });
    expect(lines).toEqual([
      "HEADERS 1 :status=103 link=</a>",
      "HEADERS 1 :status=200",
      'DATA 1 "ab"',
      "HEADERS 1 END_STREAM grpc-status=0",
    ]);
  });

  test("a reset for what was begun and given up", async () => {
    const lines = await answered(get(), ({ last: { stream } }) => {
      stream.respond({ status: 200, headers: [], bodyLength: 10 });
      stream.body(Buffer.from("ab"));
      stream.reset();
      stream.body(Buffer.from("cd"));
      stream.end(null);
    });
    expect(lines).toEqual([
      "HEADERS 1 :status=200 content-length=10",
      'DATA 1 "ab"',
      "RST_STREAM 1 INTERNAL_ERROR",
    ]);
  });

  test("§8.1: before the request has ended, and asks for no more of it if it does not end soon", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    down.last.answer("no");
    const answer = ["HEADERS 1 :status=200 content-length=2", 'DATA 1 "no" END_STREAM'];
    expect(await down.read()).toEqual(answer);
    down.clock.advance(LINGER_MS - 1);
    expect(await down.exchange(data(1, "still on its way"))).toEqual([]);
    down.clock.advance(1 + WHEEL_LATENESS_MS);
    expect(await down.read()).toEqual(["RST_STREAM 1 NO_ERROR"]);
    expect(await down.exchange(data(1, "late", true))).toEqual([]);
    expect(down.last.body).toBe("");
    expect(down.closed).toBe(0);
  });

  test("§8.1: before the request has ended, and lets it end", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    down.last.answer("no");
    await down.read();
    expect(await down.exchange(data(1, "all of it", true))).toEqual([]);
    expect(down.connection.streams.size).toBe(0);
    down.clock.advance(LINGER_MS + WHEEL_LATENESS_MS);
    expect(await down.read()).toEqual([]);
    expect(down.last.body).toBe("");
  });

  test("§8.1: before a body as long as it may be, which is read on at no more than its first window", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    down.last.answer("no");
    await down.read();
    const window = DEFAULT_LIMITS.http2StreamWindowBytes;
    const credits: string[] = [];
    for (let sent = 0; sent < 8 * window; sent += 16_384) {
      credits.push(...await down.exchange(data(1, Buffer.alloc(16_384))));
    }
    expect(credits.filter((line) => !line.startsWith("WINDOW_UPDATE"))).toEqual([]);
    const stream = credits.filter((line) => line.startsWith("WINDOW_UPDATE 1 ")).map((line) =>
      Number(line.slice(16))
    );
    expect(Math.max(...stream)).toBeLessThanOrEqual(window);
  });

  test.each([
    ["DATA", data(1, "x")],
    ["HEADERS", headers(1, ["a", "b"], true)],
  ])("§5.1: and a client that resets it at the same time may send no more of it: %s", async (_name, late) => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    down.last.answer("no");
    down.clock.advance(LINGER_MS + WHEEL_LATENESS_MS);
    await down.read();
    expect(await down.exchange(rstStream(1, "CANCEL"))).toEqual([]);
    expect(await down.exchange(late)).toEqual(["GOAWAY 1 STREAM_CLOSED"]);
  });
});
