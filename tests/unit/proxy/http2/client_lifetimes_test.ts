/** Connections to an upstream from beginning to end: retirement, limits that change, and handlers that call back from inside. */
import { describe, expect, test } from "bun:test";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { Http2ClientConnection, STREAMS_ASSUMED } from "../../../../src/proxy/http2/client_connection.ts";
import { ABANDONED_MS, PREMATURE_RESETS_MAX, RECENT_RESETS_MAX } from "../../../../src/proxy/http2/limits.ts";
import { settle } from "../fake_wire.ts";
import { SeenResponse } from "../http1/upstream.ts";
import { Http2Downstream } from "./downstream.ts";
import {
  ACK,
  CONTINUATION,
  data,
  END_HEADERS,
  goAway,
  HEADERS,
  headers,
  literals,
  ping,
  raw,
  rstStream,
  settings,
  windowUpdate,
} from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

const OK = [":status", "200"];

describe("Http2ClientConnection: deadlines", () => {
  test("an upstream that does not answer, or does not go on, is given up", async () => {
    for (const begun of [false, true]) {
      const up = await Http2Upstream.greeted();
      const { response } = up.request();
      if (begun) up.answer(headers(1, OK));
      up.clock.advance(299_000);
      expect(response.reset).toBeNull();
      up.clock.advance(2_000);
      expect(response.reset).toEqual(["timeout", true]);
    }
  });

  test("so is one that never says whether it grants a tunnel", async () => {
    const up = await Http2Upstream.greeted([8, 1]);
    const { response } = up.request({ tunnel: "websocket", bodyLength: -1 });
    up.clock.advance(301_000);
    expect(response.reset).toEqual(["timeout", true]);
  });

  test("an upstream is not blamed for a client that says no more, or takes no more", async () => {
    const up = await Http2Upstream.greeted();
    const sending = up.request({ method: "POST", bodyLength: -1 });
    const taking = up.request();
    up.answer(headers(3, OK));
    taking.stream.pauseResponse();
    for (let ms = 0; ms < 900_000; ms += 100_000) {
      up.clock.advance(100_000);
      // Only the connection is alive.
      up.answer(ping("answered", ACK));
    }
    expect([sending.response.reset, taking.response.reset]).toEqual([null, null]);
    sending.stream.end(null);
    taking.stream.resumeResponse();
    up.clock.advance(301_000);
    expect([sending.response.reset, taking.response.reset]).toEqual([["timeout", true], ["timeout", true]]);
  });
});

describe("Http2ClientConnection: requests in flight as the upstream closes", () => {
  test("are lost with one that served, where nothing of an answer has come", async () => {
    const up = await Http2Upstream.greeted();
    const [silent, informed, begun, reset] = [up.request(), up.request(), up.request(), up.request()];
    up.answer(headers(3, [":status", "103"]), headers(5, OK), rstStream(7, "INTERNAL_ERROR"));
    up.connection.onEnd();
    expect([silent, informed, begun, reset].map(({ response }) => response.reset)).toEqual([
      ["closed", false],
      ["closed", true],
      ["closed", true],
      ["closed", true],
    ]);
  });

  test("are broken off by one that has yet to answer its first", async () => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    up.connection.onEnd();
    expect(response.reset).toEqual(["closed", true]);
  });
});

describe("Http2ClientConnection: requests that nobody waits for any more", () => {
  const SPARE = PREMATURE_RESETS_MAX / 2;
  const cancelled = (n: number) => `RST_STREAM ${1 + 2 * n} CANCEL`;

  /** One that has had so many of them. */
  async function tried(): Promise<Http2Upstream> {
    const up = await Http2Upstream.greeted();
    for (let n = 0; n < SPARE; n++) {
      up.request().stream.reset();
      expect((await up.read())[1]).toBe(cancelled(n));
    }
    return up;
  }

  test("half as many as a peer bears are cancelled at once, others when that is no flood any more", async () => {
    const up = await tried();
    const { stream, response } = up.request({ method: "POST", bodyLength: 200_000 });
    stream.body(new Uint8Array(100_000));
    await up.read();
    stream.reset();
    up.answer(windowUpdate(1 + 2 * SPARE, 200_000), headers(1 + 2 * SPARE, [":status", "100"]));
    expect(await up.read()).toEqual([]);
    up.clock.advance(ABANDONED_MS - 1);
    expect(await up.read()).toEqual([]);
    up.clock.advance(1 + WHEEL_LATENESS_MS);
    expect([await up.read(), response.reset]).toEqual([[cancelled(SPARE)], null]);
    up.request().stream.reset();
    expect(await up.read()).toHaveLength(1);
  });

  test("one that is answered goes at once, and one that is over needs no word", async () => {
    const up = await tried();
    const sent = [up.request(), up.request()];
    for (const { stream } of sent) stream.reset();
    await up.read();
    const [first, second] = [1 + 2 * SPARE, 3 + 2 * SPARE];
    up.answer(headers(first, OK), headers(second, OK, true));
    expect(await up.read()).toEqual([cancelled(SPARE)]);
    expect(sent.map(({ response: { head, reset } }) => [head, reset])).toEqual([[null, null], [null, null]]);
    expect(up.connection.capacity).toBe(STREAMS_ASSUMED);
  });

  test("one that is old is cancelled at once, and answers make up for others", async () => {
    const up = await tried();
    const { stream } = up.request();
    up.clock.advance(ABANDONED_MS + WHEEL_LATENESS_MS);
    stream.reset();
    expect((await up.read())[1]).toBe(cancelled(SPARE));
    up.request();
    up.answer(headers(3 + 2 * SPARE, OK, true));
    await up.read();
    up.request().stream.reset();
    expect((await up.read())[1]).toBe(cancelled(SPARE + 2));
  });

  test("any number of them leave a server of ours in peace", async () => {
    const [up, down] = [await Http2Upstream.greeted(), await Http2Downstream.greeted()];
    for (let n = 0; n < 2_000; n++) {
      if (up.connection.capacity > 0) up.request().stream.reset();
      await settle();
      down.connection.onData(Buffer.from(up.wire.take(), "latin1"));
      if (n % 2 === 0) { for (const clock of [up.clock, down.clock]) clock.advance(20); }
    }
    expect([down.closed, down.malformed]).toEqual([0, []]);
    expect(down.requests.length).toBeGreaterThan(1_000);
  });
});

describe("Http2ClientConnection.retire()", () => {
  test("closes an idle connection at once", async () => {
    const up = await Http2Upstream.greeted();
    up.connection.retire();
    expect(await up.read()).toEqual(["GOAWAY 0 NO_ERROR"]);
    expect(up.wire.ended).toBeTrue();
    expect(up.gone).toBe(1);
  });

  test("lets open streams end first, takes no more, and calls for no work", async () => {
    const up = await Http2Upstream.greeted();
    const responses = [up.request().response, up.request().response];
    up.connection.retire();
    up.capacity = 0;
    expect(up.connection.capacity).toBe(0);
    up.answer(headers(1, OK, true));
    expect(up.wire.ended).toBeFalse();
    up.answer(headers(3, OK), data(3, "x", true));
    expect(responses.map(({ ended }) => ended)).toEqual([true, true]);
    expect(up.wire.ended).toBeTrue();
    expect(up.capacity).toBe(0);
  });

  test("the last stream may also end by a reset of either side", async () => {
    for (
      const end of [
        (up: Http2Upstream) => up.answer(rstStream(1, "CANCEL")),
        (up: Http2Upstream) => up.connection.onClose(),
      ]
    ) {
      const up = await Http2Upstream.greeted();
      const { response } = up.request();
      up.connection.retire();
      end(up);
      expect(response.reset).toEqual(["closed", true]);
      expect(up.wire.closed).toBeTrue();
      expect(up.gone).toBe(1);
    }
  });

  test("happens by itself when the identifiers run out (§5.1.1), and the last request has its answer", async () => {
    class Old extends Http2ClientConnection {
      protected override nextId = 2 ** 31 - 3;
    }
    const up = new Http2Upstream(Old);
    up.answer(settings());
    await up.read();
    const { response: before } = up.request();
    expect(up.connection.capacity).toBe(99);
    up.answer(headers(2 ** 31 - 3, OK, true));
    const { response } = up.request();
    expect(up.connection.capacity).toBe(0);
    expect(up.wire.closed).toBeFalse();
    expect((await up.read()).at(-1)).toStartWith("HEADERS 2147483647 ");
    up.answer(headers(2 ** 31 - 1, OK, true));
    expect([before.ended, response.ended]).toEqual([true, true]);
    expect(up.wire.closed).toBeTrue();
  });
});

describe("Http2ClientConnection: a peer that lowers its limit of streams", () => {
  test("takes a connection out of the pool, and puts it back", async () => {
    const up = await Http2Upstream.greeted([3, 2]);
    up.connection.pooled = true;
    up.answer(settings([3, 0]));
    expect([up.gone, up.connection.capacity]).toEqual([1, 0]);
    up.connection.pooled = false;
    up.capacity = 0;
    up.answer(settings([3, 1]));
    expect([up.gone, up.capacity, up.connection.capacity]).toEqual([1, 1, 1]);
  });
});

describe("Http2ClientConnection: handlers that act from inside", () => {
  class Again extends SeenResponse {
    constructor(readonly act: () => void) {
      super();
    }
    override onUpstreamReset(...args: Parameters<SeenResponse["onUpstreamReset"]>): void {
      super.onUpstreamReset(...args);
      this.act();
    }
    override onResponseEnd(...args: Parameters<SeenResponse["onResponseEnd"]>): void {
      super.onResponseEnd(...args);
      this.act();
    }
  }

  test("a new request inside the end of another", async () => {
    const up = await Http2Upstream.greeted([3, 2]);
    const next = new SeenResponse();
    up.request({}, new Again(() => up.request({}, next)));
    up.answer(headers(1, OK, true));
    up.answer(headers(3, OK, true));
    expect(next.ended).toBeTrue();
    expect(up.connection.capacity).toBe(2);
  });

  test("a new request inside a reset goes out on the same connection, if it lives", async () => {
    const up = await Http2Upstream.greeted();
    const next = new SeenResponse();
    up.request({}, new Again(() => up.request({}, next)));
    up.answer(rstStream(1, "REFUSED_STREAM"));
    up.answer(headers(3, OK, true));
    expect(next.ended).toBeTrue();
  });

  test("whoever asks for capacity inside the end of the connection is told that there is none", async () => {
    const up = await Http2Upstream.greeted();
    const seen: number[] = [];
    for (let i = 0; i < 3; i++) up.request({}, new Again(() => seen.push(up.connection.capacity)));
    up.onFree = () => seen.push(-1);
    up.connection.onClose();
    expect(seen).toEqual([0, 0, 0]);
    expect(up.gone).toBe(1);
  });

  test("a waiting request takes the slot of one that ends, without end", async () => {
    const up = await Http2Upstream.greeted([3, 1]);
    let left = 50;
    up.onFree = () => {
      if (left > 0 && up.connection.capacity > 0) {
        left--;
        up.request();
      }
    };
    up.request();
    for (let id = 1; id <= 101; id += 2) up.answer(headers(id, OK, true));
    expect(left).toBe(0);
    expect(up.connection.capacity).toBe(1);
  });

  test("trailers after our own reset, cut in two", async () => {
    const up = await Http2Upstream.greeted();
    const { stream } = up.request();
    const block = literals(["a", "b"]);
    up.answer(headers(1, OK), raw(HEADERS, 1, 1, block.subarray(0, 2)));
    stream.reset();
    up.answer(raw(CONTINUATION, END_HEADERS, 1, block.subarray(2)));
    expect((await up.read()).at(-1)).toBe("RST_STREAM 1 CANCEL");
    expect(up.gone).toBe(0);
  });

  test("resets of streams long over are forgiven too: many others may have ended since", async () => {
    const up = await Http2Upstream.greeted();
    const { stream } = up.request();
    up.request();
    stream.reset();
    for (let id = 5; id < 5 + 2 * 500; id += 2) {
      up.request();
      up.answer(headers(id, OK, true));
    }
    up.answer(headers(1, OK), data(1, "late", true));
    expect(up.gone).toBe(0);
    expect(up.connection.capacity).toBe(99);
  });

  test("even when more were reset than are remembered", async () => {
    const up = await Http2Upstream.greeted();
    const many = RECENT_RESETS_MAX + 500;
    for (let n = 0; n < many; n++) up.request().stream.reset();
    for (let n = 0; n < many; n += 100) up.answer(headers(2 * n + 1, OK), data(2 * n + 1, "late", true));
    expect(up.gone).toBe(0);
  });

  test("a stream that waits for a window is reset by the peer: its source is told, and the window serves others", async () => {
    const up = await Http2Upstream.greeted([4, 3]);
    const first = up.request({ method: "POST", bodyLength: -1 });
    const second = up.request({ method: "POST", bodyLength: -1 });
    first.stream.body(Buffer.from("abcdef"));
    expect(second.stream.body(Buffer.from("xyz123"))).toBeFalse();
    await up.read();
    up.answer(rstStream(1, "CANCEL"), windowUpdate(3, 10));
    expect(first.response.reset).toEqual(["closed", true]);
    expect(await up.read()).toEqual(['DATA 3 "123"']);
    expect(second.response.writable).toBe(1);
  });

  test("GOAWAY inside a burst: the handlers of refused streams may call back", async () => {
    const up = await Http2Upstream.greeted();
    const seen: number[] = [];
    up.request();
    up.request({}, new Again(() => seen.push(up.connection.capacity)));
    up.answer(goAway(1), headers(1, OK, true));
    expect(seen).toEqual([0]);
    expect(up.wire.closed).toBeTrue();
  });
});
