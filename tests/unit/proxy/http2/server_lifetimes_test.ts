/** Connections of clients from beginning to end: drain, deadlines, resets of long ago, and handlers that call back from inside. */
import { describe, expect, test } from "bun:test";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { BODY_TIMEOUT_MS } from "../../../../src/proxy/http1/limits.ts";
import { STREAM_ID_MAX } from "../../../../src/proxy/http2/frames.ts";
import { DRAIN_PING_TIMEOUT_MS, LINGER_MS } from "../../../../src/proxy/http2/limits.ts";
import { Http2Downstream } from "./downstream.ts";
import {
  data,
  get,
  HEADERS,
  headers,
  literals,
  ping,
  post,
  raw,
  rstStream,
  windowUpdate,
} from "./raw_frames.ts";

/** The two halves of the good-bye, between which the peer answers. */
const ASKED = [`GOAWAY ${STREAM_ID_MAX} NO_ERROR`, `PING ${"\0".repeat(8)}`];

const HEARD = ping("\0".repeat(8), 1);

describe("Http2ServerConnection.drain()", () => {
  test("lets what is open end, refuses what comes, and then closes", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, get(), true));
    down.connection.drain();
    expect(await down.exchange(HEARD)).toEqual([...ASKED, "GOAWAY 1 NO_ERROR"]);
    expect(await down.exchange(headers(3, get(), true))).toEqual(["RST_STREAM 3 REFUSED_STREAM"]);
    expect(down.requests).toHaveLength(1);
    down.last.answer("ok");
    const lines = await down.read();
    expect(lines.slice(0, 2)).toEqual(["HEADERS 1 :status=200 content-length=2", 'DATA 1 "ok" END_STREAM']);
    expect(down.closed).toBe(1);
    expect(down.wire.ended).toBeTrue();
  });

  test("§6.8: serves a stream that was on its way when the peer heard of it", async () => {
    const down = await Http2Downstream.greeted();
    down.connection.drain();
    expect(await down.exchange(headers(1, get(), true))).toEqual(ASKED);
    expect(await down.exchange(HEARD)).toEqual(["GOAWAY 1 NO_ERROR"]);
    down.last.answer("ok");
    expect((await down.read())[1]).toBe('DATA 1 "ok" END_STREAM');
    expect(down.closed).toBe(1);
  });

  test("does not wait for ever for a peer that does not answer its PING", async () => {
    const down = await Http2Downstream.greeted();
    down.connection.drain();
    await down.read();
    down.clock.advance(DRAIN_PING_TIMEOUT_MS - 1);
    expect(down.closed).toBe(0);
    down.clock.advance(WHEEL_LATENESS_MS + 1);
    expect((await down.read())[0]).toBe("GOAWAY 0 NO_ERROR");
    expect(down.closed).toBe(1);
  });

  test("§6.8: never raises the last stream that it told", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, get(), true));
    down.connection.drain();
    down.send(HEARD, headers(3, get(), true));
    down.last.answer();
    const told = (await down.read()).filter((line) => line.startsWith("GOAWAY"));
    expect(new Set(told)).toEqual(new Set([ASKED[0] as string, "GOAWAY 1 NO_ERROR"]));
  });

  test("closes an idle connection as soon as the peer has heard, and only once", async () => {
    const down = await Http2Downstream.greeted();
    down.connection.drain();
    down.connection.drain();
    const lines = await down.exchange(HEARD);
    expect(lines.slice(0, 3)).toEqual([...ASKED, "GOAWAY 0 NO_ERROR"]);
    expect(down.closed).toBe(1);
  });

  test("a PING's answer that nobody asked for begins no drain", async () => {
    const down = await Http2Downstream.greeted();
    expect(await down.exchange(HEARD)).toEqual([]);
    expect(down.closed).toBe(0);
  });

  test("cut() ends the connection and resets what is in flight", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, get(), true));
    down.connection.cut();
    expect(down.last.reset).toBe("closed");
    expect(down.wire.ended).toBeTrue();
    expect(down.closed).toBe(1);
  });

  test("says everything before the end, to a peer that reads slowly, and begins nothing new meanwhile", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, get(), true));
    down.wire.room = 0;
    down.last.answer("hello");
    down.connection.drain();
    down.send(HEARD);
    await down.read();
    expect(down.wire.ended).toBeFalse();
    down.send(headers(3, get(), true));
    expect(down.requests).toHaveLength(1);
    down.drain();
    const lines = await down.read();
    expect(lines.slice(0, 5)).toEqual([
      "HEADERS 1 :status=200 content-length=5",
      'DATA 1 "hello" END_STREAM',
      ...ASKED,
      "GOAWAY 1 NO_ERROR",
    ]);
    expect(down.wire.ended).toBeTrue();
    expect(down.closed).toBe(1);
  });

  test("gives up on a peer that never reads", async () => {
    const down = await Http2Downstream.greeted();
    down.wire.room = 0;
    down.send(headers(1, get(), true));
    down.last.answer("hello");
    down.connection.drain();
    down.send(HEARD);
    await down.read();
    down.clock.advance(11_000);
    expect(down.closed).toBe(1);
    expect(down.wire.closed).toBeTrue();
  });
});

describe("Http2ServerConnection: deadlines", () => {
  test("an idle connection is closed with GOAWAY after an hour; one that works is not", async () => {
    const down = await Http2Downstream.greeted();
    down.clock.advance(3_500_000);
    down.send(headers(1, get(), true));
    down.last.answer();
    await down.read();
    down.clock.advance(3_500_000);
    expect(down.closed).toBe(0);
    down.clock.advance(200_000);
    expect((await down.read()).at(-1)).toBe("GOAWAY 1 NO_ERROR");
    expect(down.closed).toBe(1);
  });

  const LATE = (id: number) => [
    `HEADERS ${id} END_STREAM :status=408 content-length=0`,
    `RST_STREAM ${id} NO_ERROR`,
  ];

  test("a request in which nothing moves is answered 408 after five minutes", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    down.clock.advance(299_000);
    down.send(data(1, "x"));
    down.clock.advance(299_000);
    expect(down.last.reset).toBeNull();
    down.clock.advance(2_000);
    expect(down.last.reset).toBe("timeout");
    down.clock.advance(2_000);
    expect(await down.read()).toEqual(LATE(1));
  });

  test("one whose answer has begun is broken off", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    down.last.stream.respond({ status: 200, headers: [], bodyLength: -1 });
    await down.read();
    down.clock.advance(301_000);
    expect([down.last.reset, await down.read()]).toEqual(["timeout", ["RST_STREAM 1 CANCEL"]]);
  });

  test("a slow handler has its time, while the request is whole or may not come on", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, get(), true), headers(3, post()));
    down.last.stream.pauseRequest();
    down.clock.advance(900_000);
    expect(await down.read()).toEqual([]);
    down.requests[0]?.answer("late");
    down.last.stream.resumeRequest();
    down.clock.advance(303_000);
    expect(await down.read()).toEqual([
      "HEADERS 1 :status=200 content-length=4",
      'DATA 1 "late" END_STREAM',
      ...LATE(3),
    ]);
  });

  describe("a body of announced length", () => {
    const { requestBodyRateBytes: RATE } = DEFAULT_LIMITS;
    const PASSED_MS = BODY_TIMEOUT_MS + WHEEL_LATENESS_MS;

    async function begun(...fields: string[]): Promise<Http2Downstream> {
      const down = await Http2Downstream.greeted();
      down.send(headers(1, post("content-length", "60000", ...fields)));
      return down;
    }

    test.each([RATE - 1, RATE])("that brings %d bytes in ten seconds", async (bytes) => {
      const down = await begun();
      for (let window = 0; window < 5; window++) {
        down.clock.advance(BODY_TIMEOUT_MS / 2);
        down.send(data(1, "x".repeat(bytes)));
        down.clock.advance(BODY_TIMEOUT_MS / 2 + WHEEL_LATENESS_MS);
      }
      const slow = bytes < RATE;
      expect([down.last.reset, await down.read()]).toEqual(
        slow
          ? ["timeout", ["HEADERS 1 END_STREAM :status=408 content-length=0", "RST_STREAM 1 NO_ERROR"]]
          : [null, []],
      );
    });

    test("has all the time that its reader takes", async () => {
      const down = await begun();
      down.last.stream.pauseRequest();
      down.clock.advance(3 * BODY_TIMEOUT_MS);
      down.last.stream.resumeRequest();
      down.clock.advance(BODY_TIMEOUT_MS - 1);
      expect(down.last.reset).toBeNull();
      down.clock.advance(1 + WHEEL_LATENESS_MS);
      expect(down.last.reset).toBe("timeout");
    });

    test("has no pace once it is answered, nor before the client was told to send it", async () => {
      const answered = await begun();
      answered.last.stream.respond({ status: 200, headers: [], bodyLength: -1 });
      const waiting = await begun("expect", "100-continue");
      for (const down of [answered, waiting]) {
        down.clock.advance(3 * BODY_TIMEOUT_MS);
        expect(down.last.reset).toBeNull();
      }
      waiting.last.stream.inform(100, []);
      waiting.clock.advance(PASSED_MS);
      expect(waiting.last.reset).toBe("timeout");
    });

    test("is what counts, not what the client says of itself: a first byte begins it", async () => {
      const down = await begun("expect", "100-continue");
      down.send(data(1, "x"));
      down.clock.advance(PASSED_MS);
      expect(down.last.reset).toBe("timeout");
    });

    test("leaves the other streams alone, and nothing on the wheel when it is whole", async () => {
      const down = await begun();
      down.send(headers(3, post("content-length", "2")), data(3, "ok", true), headers(5, post()));
      down.clock.advance(PASSED_MS);
      expect(down.requests.map(({ reset }) => reset)).toEqual(["timeout", null, null]);
      down.requests[1]?.answer("fine");
      expect((await down.read()).at(-1)).toBe('DATA 3 "fine" END_STREAM');
    });
  });

  test("a client that takes no more of an answer has five minutes", async () => {
    // SETTINGS_INITIAL_WINDOW_SIZE.
    const down = await Http2Downstream.greeted([4, 0]);
    down.send(headers(1, get(), true));
    down.last.answer("held up");
    await down.read();
    down.clock.advance(301_000);
    expect([down.last.reset, await down.read()]).toEqual(["timeout", ["RST_STREAM 1 CANCEL"]]);
  });

  test("a header block must be whole within ten seconds, whatever else happens on the connection", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, get(), true));
    down.send(raw(HEADERS, 0, 3, literals(get())));
    down.clock.advance(5_000);
    down.last.answer();
    down.clock.advance(6_000);
    expect((await down.read()).at(-1)).toBe("GOAWAY 1 ENHANCE_YOUR_CALM");
    expect(down.malformed).toEqual(["400 http2.header_block_timeout"]);
  });

  test("so must a HEADERS frame that comes octet by octet", async () => {
    const down = await Http2Downstream.greeted();
    const frame = headers(1, get("x", "y".repeat(100)), true);
    for (const octet of frame.subarray(0, 32)) {
      down.clock.advance(500);
      down.send(Buffer.from([octet]));
    }
    expect(down.malformed).toEqual(["400 http2.header_block_timeout"]);
  });

  test("a client whose packets all end inside a HEADERS frame is not slow", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = (request) => request.answer("ok");
    let next = headers(1, get(), true);
    for (let id = 3; id < 101; id += 2) {
      const frame = headers(id, get(), true);
      down.send(next, frame.subarray(0, 20));
      next = frame.subarray(20);
      await down.read();
      down.clock.advance(1_000);
    }
    expect(down.closed).toBe(0);
    expect(down.requests).toHaveLength(49);
  });

  test("a slow body is no slow head", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()), data(1, "x".repeat(100)).subarray(0, 50));
    down.clock.advance(60_000);
    down.send(data(1, "x".repeat(100)).subarray(50));
    expect(down.last.body).toHaveLength(100);
    expect(down.closed).toBe(0);
  });

  test("leave nothing on the wheel when the connection is gone", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()), headers(3, get(), true));
    down.connection.onClose();
    down.clock.advance(20_000);
    expect(down.wheel.size).toBe(0);
    expect(down.clock.pending).toBe(0);
    expect(down.requests.map(({ reset }) => reset)).toEqual(["closed", "closed"]);
  });
});

describe("Http2ServerConnection: handlers that act from inside", () => {
  test("an answer inside accept, with the request whole or not", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = (request) => request.answer("ok");
    expect(await down.exchange(headers(1, get(), true), headers(3, post()))).toEqual([
      "HEADERS 1 :status=200 content-length=2",
      'DATA 1 "ok" END_STREAM',
      "HEADERS 3 :status=200 content-length=2",
      'DATA 3 "ok" END_STREAM',
    ]);
  });

  test("an answer inside onRequestBody, with the end in the same frame", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = (request) => request.onBody = () => request.answer("ok");
    down.send(headers(1, post()), data(1, "x", true));
    expect((await down.read()).slice(0, 2)).toEqual([
      "HEADERS 1 :status=200 content-length=2",
      'DATA 1 "ok" END_STREAM',
    ]);
    expect(down.closed).toBe(0);
  });

  test("a reset inside onRequestBody, with the end in the same frame", async () => {
    const down = await Http2Downstream.greeted();
    down.onAccept = (request) => request.onBody = ({ stream }) => stream.reset();
    expect(await down.exchange(headers(1, post()), data(1, "x", true))).toEqual([
      "RST_STREAM 1 INTERNAL_ERROR",
    ]);
    expect(down.last.ended).toBeFalse();
  });

  test("an answer that waits for a window and then ends: the rest of the request is not wanted (§8.1)", async () => {
    const down = await Http2Downstream.greeted([4, 1]);
    down.send(headers(1, post()));
    down.last.answer("ok");
    expect(await down.read()).toEqual(["HEADERS 1 :status=200 content-length=2", 'DATA 1 "o"']);
    expect(await down.exchange(windowUpdate(1, 1))).toEqual(['DATA 1 "k" END_STREAM']);
    down.clock.advance(LINGER_MS + WHEEL_LATENESS_MS);
    expect(await down.read()).toEqual(["RST_STREAM 1 NO_ERROR"]);
  });

  test("the connection ends inside a reset handler", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, get(), true), headers(3, get(), true));
    const [first] = down.requests;
    (first as Http2Downstream["last"]).onDownstreamReset = () => down.connection.onClose();
    down.send(rstStream(1, "CANCEL"));
    expect(down.closed).toBe(1);
    expect(down.last.reset).toBe("closed");
  });
});

describe("Http2ServerConnection: streams that we reset long ago", () => {
  test("are forgiven after many others have ended; identifiers that were skipped are not", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, post()));
    down.last.stream.reset();
    down.onAccept = (request) => request.answer();
    for (let id = 5; id < 5 + 2 * 500; id += 2) down.send(headers(id, get(), true));
    await down.read();
    expect(await down.exchange(data(1, "late"), headers(1, ["a", "b"], true))).toEqual([]);
    expect((await down.exchange(data(3, "never opened"))).at(-1)).toContain("PROTOCOL_ERROR");
  });
});
