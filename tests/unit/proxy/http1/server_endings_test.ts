/** How a connection with a client ends: refusals and half-closes. Nothing said is lost, nothing looks whole that is not. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { DISCARD_BYTES_MAX, HALF_CLOSED_MS, LINGER_MS } from "../../../../src/proxy/http1/limits.ts";
import { settle } from "../fake_wire.ts";
import { Downstream, GET, ok, post, refusal } from "./downstream.ts";

describe("a message that is no request", () => {
  test.each([
    ["garbage", "\x16\x03\x01\r\n\r\n", "400 Bad Request"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version Not Supported"],
    [
      "an unknown coding",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n",
      "501 Not Implemented",
    ],
    ["a head too large", `GET / HTTP/1.1\r\nx: ${"y".repeat(70_000)}`, "431 Request Header Fields Too Large"],
    ["a line too long", `GET /${"y".repeat(70_000)}`, "414 URI Too Long"],
    ["a bare line feed", "GET / HTTP/1.1\n", "400 Bad Request"],
  ])("Http1ServerConnection refuses %s, closes, and hears no more", async (_what, text, status) => {
    const down = new Downstream();
    expect(await down.exchange(text, GET)).toBe(refusal(status));
    expect(down.requests).toHaveLength(0);
    expect(down.malformed).toHaveLength(1);
    expect(down.wire.shut).toBe(true);
    down.clock.advance(LINGER_MS + WHEEL_LATENESS_MS);
    expect(down.wire.ended).toBe(true);
  });

  test("Http1ServerConnection refuses a bad body with 400 and tells the handler alone", async () => {
    const down = new Downstream();
    const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(await down.exchange(head, "5\r\nhello\r\n", "zz\r\n", GET)).toBe(refusal("400 Bad Request"));
    expect(down.last).toMatchObject({ body: "hello", ended: false, reset: "protocol-error" });
    // The handler counts the request; counting it as malformed too would count it twice.
    expect(down.malformed).toEqual([]);
    expect(down.requests).toHaveLength(1);
  });

  test("Http1ServerConnection breaks off when the body goes bad after the response began", async () => {
    const down = new Downstream();
    down.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    down.last.stream.respond({ status: 200, headers: [], bodyLength: 9 });
    await down.exchange("zz\r\n");
    expect(down.last.reset).toBe("protocol-error");
    expect(down.wire).toMatchObject({ terminated: true, shut: false });
  });

  test("Http1ServerConnection sends a response that was complete before the request's body went bad", async () => {
    const down = new Downstream();
    down.wire.room = 10;
    down.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    down.last.answer("text");
    await down.exchange("zz\r\n");
    down.drain();
    expect(down.wire.written).toEndWith("\r\n\r\ntext");
    expect(down.wire).toMatchObject({ shut: true, terminated: false });
    expect(down.last.reset).toBeNull();
  });
});

describe("a response that overtakes its request", () => {
  test("Http1ServerConnection throws a short rest of the request away and goes on", async () => {
    const down = new Downstream();
    down.send(post("0123456789").slice(0, -5));
    down.last.answer("early");
    await settle();
    expect(down.wire.take()).toBe(ok("early"));
    expect(down.wire.shut).toBe(false);
    down.send(`56789${GET}`);
    expect(down.requests).toHaveLength(2);
    expect(down.requests[0]?.body).toBe("01234");
    down.last.answer("next");
    await settle();
    expect(down.wire.take()).toBe(ok("next"));
  });

  test("Http1ServerConnection does not wait long for that rest", async () => {
    const down = new Downstream();
    down.send(post("0123456789").slice(0, -5));
    down.last.answer("early");
    await settle();
    down.clock.advance(LINGER_MS + WHEEL_LATENESS_MS);
    expect(down.wire.closed).toBe(true);
    expect(down.last.reset).toBeNull();
  });

  test("Http1ServerConnection says close before a long rest, and lingers so that the answer is read", async () => {
    const close = (bytes: number) => {
      const down = new Downstream();
      down.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`);
      down.last.answer("no");
      return down;
    };
    const short = close(DISCARD_BYTES_MAX);
    await settle();
    expect(short.wire.written).toBe(ok("no"));
    const long = close(DISCARD_BYTES_MAX + 1);
    await settle();
    expect(long.wire.written).toBe("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
    expect(long.wire).toMatchObject({ shut: true, ended: false, paused: false });
    long.send("x".repeat(1_000));
    long.clock.advance(LINGER_MS - 1_000);
    expect(long.wire.ended).toBe(false);
    long.connection.onEnd();
    expect(long.wire.ended).toBe(true);
  });

  test("Http1ServerConnection says close before a body in chunks, and before one that waits for 100", async () => {
    const closing = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
    for (const fields of ["Transfer-Encoding: chunked", "Content-Length: 5\r\nExpect: 100-continue"]) {
      const down = new Downstream();
      down.onAccept = (request) => request.answer("no");
      // Whether the client sends the body now is its own choice, so the next bytes may be either.
      expect(await down.exchange(`POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`)).toBe(closing);
      await down.exchange(GET);
      expect(down.requests).toHaveLength(1);
    }
  });

  test("Http1ServerConnection keeps the connection when the whole body is there already", async () => {
    const down = new Downstream();
    down.onAccept = (request) => request.answer("no");
    expect(await down.exchange(post("body"), GET)).toBe(ok("no") + ok("no"));
    expect(down.requests).toHaveLength(2);
    expect(down.requests[0]?.body).toBe("");
  });
});

describe("a client that closes", () => {
  test("Http1ServerConnection answers a client that closed its half after the request", async () => {
    const down = new Downstream();
    down.send(GET);
    down.connection.onEnd();
    down.last.answer("text");
    await settle();
    expect(down.wire.written).toBe(ok("text"));
    expect(down.wire).toMatchObject({ ended: true, terminated: false });
  });

  test("Http1ServerConnection gives up on a client that closed its half and has got no answer for a while", () => {
    const down = new Downstream();
    down.send(GET + GET);
    down.connection.onEnd();
    // As Bun tells it.
    down.connection.onDrain();
    down.clock.advance(HALF_CLOSED_MS - 1);
    expect(down.last.reset).toBeNull();
    down.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(down.last.reset).toBe("closed");
    expect(down.wire.terminated).toBe(true);
  });

  test("Http1ServerConnection gives each request that was pipelined before the end of the half its own time", async () => {
    const down = new Downstream();
    down.send(GET + GET);
    down.connection.onEnd();
    down.clock.advance(HALF_CLOSED_MS - 1);
    down.last.answer("first");
    await settle();
    down.clock.advance(HALF_CLOSED_MS - 1);
    expect(down.last.reset).toBeNull();
    down.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(down.last.reset).toBe("closed");
  });

  test.each([
    "while the response is sent",
    "after the response, on a connection that stays",
    "while it lingers",
  ])(
    "Http1ServerConnection still sends everything to a slow client that closes its half %s",
    async (when) => {
      const down = new Downstream();
      const text = "x".repeat(50_000);
      const closing = when === "while it lingers";
      down.wire.room = 1_000;
      down.send(closing ? "GET / HTTP/1.0\r\n\r\n" : GET);
      if (when.startsWith("while the response")) down.connection.onEnd();
      down.last.answer(text);
      await settle();
      if (!when.startsWith("while the response")) down.connection.onEnd();
      expect(down.wire.closed).toBe(false);
      down.clock.advance(LINGER_MS + 1_000);
      expect(down.wire.closed).toBe(false);
      down.drain();
      expect(down.wire.written).toEndWith(text);
      expect(down.wire).toMatchObject({ ended: true, terminated: false });
    },
  );

  test("Http1ServerConnection answers all that was pipelined before the client closed its half", async () => {
    for (const tail of ["", "\r\n", "GET / HT"]) {
      const down = new Downstream();
      down.onAccept = (request) => request.answer("x");
      down.send(GET + GET + GET + tail);
      down.connection.onEnd();
      await settle();
      await settle();
      expect(down.wire.written).toBe(ok("x").repeat(3));
      expect(down.wire).toMatchObject({ ended: true, terminated: false });
    }
    const cut = new Downstream();
    cut.send(GET + post("0123456789").slice(0, -5));
    cut.connection.onEnd();
    cut.last.answer("x");
    await settle();
    expect(cut.requests).toHaveLength(2);
    expect(cut.last.reset).toBe("closed");
    expect(cut.wire.terminated).toBe(true);
  });

  test("Http1ServerConnection breaks off a request whose body was cut off", () => {
    const down = new Downstream();
    down.send(post("0123456789").slice(0, -5));
    down.connection.onEnd();
    expect(down.last.reset).toBe("closed");
    expect(down.wire.terminated).toBe(true);
  });

  test("Http1ServerConnection closes an idle connection, and one with half a head", () => {
    for (const text of ["", "GET / HT"]) {
      const down = new Downstream();
      down.send(text);
      down.connection.onEnd();
      expect(down.wire).toMatchObject({ ended: true, terminated: false });
      expect(down.malformed).toEqual([]);
    }
  });

  test("Http1ServerConnection tells the handler of a reset once, and nothing after it", async () => {
    const down = new Downstream();
    down.send(post("0123456789").slice(0, -5));
    down.connection.onClose();
    expect(down.last.reset).toBe("closed");
    expect(down.closed).toBe(1);
    down.send("56789");
    down.last.answer("late");
    down.last.stream.reset();
    down.last.stream.resumeRequest();
    await settle();
    down.clock.advance(DEFAULT_LIMITS.connectionIdleMs);
    expect(down.last).toMatchObject({ ended: false, body: "01234" });
    expect(down.wire.written).toBe("");
    expect(down.wheel.size).toBe(0);
  });

  test("Http1ServerConnection leaves nothing of a closed connection with the wheel", () => {
    const down = new Downstream();
    down.connection.onClose();
    down.clock.advance(15_000);
    expect(down.wheel.size).toBe(0);
  });
});

describe("re-entrancy", () => {
  test("Http1ServerConnection takes an answer from inside accept and from inside a body", async () => {
    const down = new Downstream();
    down.onAccept = (request) => {
      if (request.ended) request.answer("a");
      else request.onBody = (self) => self.answer("b");
    };
    expect(await down.exchange(`${GET}${post("x")}${GET}`)).toBe(ok("a") + ok("b") + ok("a"));
  });

  test("Http1ServerConnection takes a reset from inside accept and from inside a body", async () => {
    for (const inBody of [false, true]) {
      const down = new Downstream();
      down.onAccept = (request) => {
        if (inBody) request.onBody = (self) => self.stream.reset();
        else request.stream.reset();
      };
      await down.exchange(`${post("x")}${GET}`);
      expect(down.wire.terminated).toBe(true);
      expect(down.last).toMatchObject({ body: inBody ? "x" : "", ended: false, reset: null });
      expect(down.requests).toHaveLength(1);
      down.connection.onClose();
      down.clock.advance(15_000);
      expect(down.wheel.size).toBe(0);
    }
  });
});
