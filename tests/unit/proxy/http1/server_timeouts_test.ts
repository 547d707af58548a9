/** How long a connection with a client waits: for a head, for a body, for a reader, in a drain. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { BODY_TIMEOUT_MS, DRAIN_IDLE_MS, LINGER_MS } from "../../../../src/proxy/http1/limits.ts";
import { latin1, settle } from "../fake_wire.ts";
import { Downstream, GET, ok, post, refusal } from "./downstream.ts";

describe("timeouts", () => {
  test("Http1ServerConnection answers 408 when a head is not whole in time, and closes", async () => {
    const down = new Downstream();
    down.clock.advance(60_000);
    down.send("GET / HT");
    down.clock.advance(DEFAULT_LIMITS.requestHeadersMs - 1);
    // Every byte more does not give more time.
    down.send("T");
    expect(down.wire.written).toBe("");
    down.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(down.wire.written).toBe(refusal("408 Request Timeout"));
    expect(down.malformed).toEqual(["408 http1.head_timeout"]);
    down.clock.advance(LINGER_MS + WHEEL_LATENESS_MS);
    expect(down.wire.ended).toBe(true);
  });

  test("Http1ServerConnection closes an idle connection without a word", () => {
    const down = new Downstream();
    down.clock.advance(DEFAULT_LIMITS.connectionIdleMs - 1);
    expect(down.wire.closed).toBe(false);
    down.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(down.wire).toMatchObject({ ended: true, written: "" });
  });

  test("Http1ServerConnection answers 408 to a body that comes too slowly, and bears one that is just fast enough", () => {
    for (const bytes of [DEFAULT_LIMITS.requestBodyRateBytes - 1, DEFAULT_LIMITS.requestBodyRateBytes]) {
      const down = new Downstream();
      down.send(post("x".repeat(100_000)).slice(0, -100_000));
      for (let window = 0; window < 5; window++) {
        down.clock.advance(BODY_TIMEOUT_MS / 2);
        down.send("x".repeat(bytes));
        down.clock.advance(BODY_TIMEOUT_MS / 2 + WHEEL_LATENESS_MS);
      }
      const slow = bytes < DEFAULT_LIMITS.requestBodyRateBytes;
      expect(down.last.reset).toBe(slow ? "timeout" : null);
      expect(down.wire.written).toBe(slow ? refusal("408 Request Timeout") : "");
    }
  });

  test("Http1ServerConnection answers 408 to a body that came in time for a while and then stops", () => {
    const down = new Downstream();
    down.send(post("x".repeat(100_000)).slice(0, -100_000));
    down.send("x".repeat(50_000));
    down.clock.advance(BODY_TIMEOUT_MS + WHEEL_LATENESS_MS);
    expect(down.last.reset).toBeNull();
    down.clock.advance(BODY_TIMEOUT_MS + WHEEL_LATENESS_MS);
    expect(down.last.reset).toBe("timeout");
  });

  test("Http1ServerConnection does not count the time in which it takes no more of a body itself", () => {
    const down = new Downstream();
    down.send(post("x".repeat(100_000)).slice(0, -100_000));
    down.last.stream.pauseRequest();
    down.clock.advance(3 * BODY_TIMEOUT_MS);
    down.last.stream.resumeRequest();
    down.clock.advance(BODY_TIMEOUT_MS - 1);
    expect(down.last.reset).toBeNull();
    down.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(down.last.reset).toBe("timeout");
  });

  test("Http1ServerConnection waits for a body that waits for 100 as long as for anything else", () => {
    const down = new Downstream();
    down.send(post("x".repeat(1_000), "Expect: 100-continue").slice(0, -1_000));
    down.clock.advance(DEFAULT_LIMITS.streamIdleMs - 1);
    expect(down.last.reset).toBeNull();
    down.clock.advance(WHEEL_LATENESS_MS + 1);
    expect([down.last.reset, down.wire.written]).toEqual(["timeout", refusal("408 Request Timeout")]);
  });

  test("Http1ServerConnection wants such a body in time once it was told to come, or has begun by itself", () => {
    for (const begin of ["told", "begun"]) {
      const down = new Downstream();
      down.send(post("x".repeat(1_000), "Expect: 100-continue").slice(0, -1_000));
      down.clock.advance(3 * BODY_TIMEOUT_MS);
      if (begin === "told") down.last.stream.inform(100, []);
      else down.send("x");
      down.clock.advance(BODY_TIMEOUT_MS - 1);
      expect(down.last.reset).toBeNull();
      down.clock.advance(WHEEL_LATENESS_MS + 1);
      expect(down.last.reset).toBe("timeout");
    }
  });

  test("Http1ServerConnection lets a client take its time for a body once it was answered", () => {
    const down = new Downstream();
    down.send(post("x".repeat(100_000)).slice(0, -100_000));
    down.last.stream.respond({ status: 200, headers: [], bodyLength: -1 });
    down.clock.advance(3 * BODY_TIMEOUT_MS);
    expect(down.last.reset).toBeNull();
  });

  test("Http1ServerConnection closes on a client that trickles the rest of a request that was answered", async () => {
    const down = new Downstream();
    down.send(post("x".repeat(1_000)).slice(0, -1_000));
    down.last.answer("done");
    await settle();
    for (let sent = 0; sent < LINGER_MS; sent += 1_000) {
      down.send("x");
      down.clock.advance(1_000);
    }
    down.clock.advance(WHEEL_LATENESS_MS);
    expect(down.wire.closed).toBe(true);
  });

  test("Http1ServerConnection answers 408 to a body in chunks that stops coming, much later", () => {
    const down = new Downstream();
    down.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    down.clock.advance(DEFAULT_LIMITS.streamIdleMs - 1);
    expect(down.last.reset).toBeNull();
    down.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(down.last.reset).toBe("timeout");
    expect(down.wire.written).toBe(refusal("408 Request Timeout"));
    expect(down.malformed).toEqual([]);
  });

  test("Http1ServerConnection breaks off a response that the client does not read", () => {
    const down = new Downstream();
    down.wire.room = 10;
    down.send(GET);
    down.last.stream.respond({ status: 200, headers: [], bodyLength: 100_000 });
    down.last.stream.body(new Uint8Array(50_000));
    down.clock.advance(DEFAULT_LIMITS.streamIdleMs + WHEEL_LATENESS_MS);
    expect(down.last.reset).toBe("timeout");
    expect(down.wire.terminated).toBe(true);
  });

  test("Http1ServerConnection gives a client its time from the last piece of a response on", () => {
    const down = new Downstream();
    down.wire.room = 10;
    down.send(GET);
    down.last.stream.respond({ status: 200, headers: [], bodyLength: 100_000 });
    down.clock.advance(DEFAULT_LIMITS.streamIdleMs - 1);
    down.last.stream.body(new Uint8Array(50_000));
    down.clock.advance(DEFAULT_LIMITS.streamIdleMs - 1);
    expect(down.last.reset).toBeNull();
    down.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(down.last.reset).toBe("timeout");
  });

  test("Http1ServerConnection resets a whole response of which the client does not read the end", async () => {
    const down = new Downstream();
    down.wire.room = 10;
    down.send("GET / HTTP/1.0\r\n\r\n");
    down.last.answer("x".repeat(50_000));
    await settle();
    down.clock.advance(DEFAULT_LIMITS.streamIdleMs + WHEEL_LATENESS_MS);
    expect(down.wire).toMatchObject({ terminated: true, shut: false });
    expect(down.last.reset).toBeNull();
  });

  test("Http1ServerConnection leaves a slow upstream to the handler: it is not the client's turn", () => {
    for (const pause of [false, true]) {
      const down = new Downstream();
      down.send(pause ? post("0123456789").slice(0, -5) : GET);
      if (pause) down.last.stream.pauseRequest();
      down.clock.advance(3 * DEFAULT_LIMITS.streamIdleMs);
      expect(down.last.reset).toBeNull();
      expect(down.wire.closed).toBe(false);
    }
  });
});

describe("drain", () => {
  test("Http1ServerConnection.drain() closes an idle connection after a moment, and holds nobody up with it", () => {
    const down = new Downstream();
    down.connection.drain();
    down.clock.advance(DRAIN_IDLE_MS - 1);
    expect([down.wire.ended, down.closed]).toEqual([false, 0]);
    down.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(down.wire).toMatchObject({ ended: true, terminated: false });
    expect(down.closed).toBe(1);
  });

  test("Http1ServerConnection.drain() answers a request that was on its way to an idle connection, with close", async () => {
    const down = new Downstream();
    down.connection.drain();
    down.clock.advance(DRAIN_IDLE_MS - 1);
    down.send(GET);
    down.last.answer("a");
    await settle();
    expect(down.wire.written).toContain("connection: close");
    expect(down.wire.shut).toBe(true);
  });

  test("Http1ServerConnection.cut() breaks off what is in flight, so that it does not look whole", () => {
    const down = new Downstream();
    down.send(GET);
    down.last.stream.respond({ status: 200, headers: [], bodyLength: 10 });
    down.connection.cut();
    expect(down.wire.terminated).toBe(true);
    expect(down.last.reset).toBe("closed");
  });

  test("Http1ServerConnection.drain() answers what is in flight and says close", async () => {
    const down = new Downstream();
    down.send(GET);
    down.connection.drain();
    expect(down.wire.shut).toBe(false);
    down.last.answer("a");
    await settle();
    expect(down.wire.written).toBe("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na");
    expect(down.wire.shut).toBe(true);
  });

  test("Http1ServerConnection.drain() waits for a response that has begun, and for a head that has begun", async () => {
    const begun = new Downstream();
    begun.send(GET);
    begun.last.stream.respond({ status: 200, headers: [], bodyLength: 2 });
    begun.connection.drain();
    begun.last.stream.body(latin1("ok"));
    begun.last.stream.end(null);
    await settle();
    expect(begun.wire.written).toBe(ok("ok"));
    expect(begun.wire.shut).toBe(true);

    const half = new Downstream();
    half.send("GET / HT");
    half.connection.drain();
    expect(half.wire.shut).toBe(false);
    half.send("TP/1.1\r\nHost: a\r\n\r\n");
    half.last.answer("a");
    await settle();
    expect(half.wire.written).toContain("connection: close");
  });
});
