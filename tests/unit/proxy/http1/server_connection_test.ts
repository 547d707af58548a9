/** Requests and responses on one connection, as RFC 9112 orders them. */
import { describe, expect, test } from "bun:test";
import { PIPELINE_BYTES_MAX } from "../../../../src/proxy/http1/limits.ts";
import { WRITE_HIGH_WATER_BYTES } from "../../../../src/proxy/io/byte_writer.ts";
import { latin1, settle } from "../fake_wire.ts";
import { Downstream, GET, ok, post } from "./downstream.ts";

describe("Http1ServerConnection", () => {
  test("Http1ServerConnection serves one request after the other", async () => {
    const down = new Downstream();
    for (const text of ["one", "", "three"]) {
      down.send(GET);
      down.last.answer(text);
      await settle();
      expect(down.wire.take()).toBe(ok(text));
    }
    expect(down.requests).toHaveLength(3);
    expect(down.wire.shut).toBe(false);
  });

  test("Http1ServerConnection writes head and body at once", async () => {
    const down = new Downstream();
    down.send(GET);
    down.last.answer("text");
    await settle();
    expect(down.wire.writes).toBe(1);
  });

  test("Http1ServerConnection hands on body and trailers", async () => {
    const down = new Downstream();
    down.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect(down.last.head.bodyLength).toBe(-1);
    down.send("5\r\nhel", "lo\r\n0\r\nx: ", "y\r\n\r\n");
    expect(down.last).toMatchObject({ body: "hello", ended: true, trailers: ["x", "y"] });
    down.last.answer("done");
    await settle();
    expect(down.wire.written).toBe(ok("done"));
  });

  test("Http1ServerConnection chunks a response of unknown length, with its trailers", async () => {
    const down = new Downstream();
    down.send(GET);
    const { stream } = down.last;
    stream.respond({ status: 200, headers: ["x", "y"], bodyLength: -1 });
    stream.body(latin1("hello"));
    stream.body(new Uint8Array(0));
    stream.end(["sum", "1"]);
    await settle();
    expect(down.wire.written).toBe(
      "HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nsum: 1\r\n\r\n",
    );
  });

  test("Http1ServerConnection sends no body for HEAD, 204 and 304, whatever the upstream sends", async () => {
    const down = new Downstream();
    down.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    down.last.answer("text");
    await settle();
    expect(down.wire.take()).toBe("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
    for (const [status, phrase] of [[204, "No Content"], [304, "Not Modified"]] as const) {
      down.send(GET);
      down.last.stream.respond({ status, headers: [], bodyLength: -1 });
      down.last.stream.body(latin1("text"));
      down.last.stream.end(["x", "y"]);
      await settle();
      expect(down.wire.take()).toBe(`HTTP/1.1 ${status} ${phrase}\r\n\r\n`);
    }
    down.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    down.last.stream.respond({ status: 200, headers: [], bodyLength: -1 });
    down.last.stream.end(null);
    await settle();
    expect(down.wire.take()).toBe("HTTP/1.1 200 OK\r\n\r\n");
  });

  test("Http1ServerConnection passes 1xx on to HTTP/1.1 and not to HTTP/1.0", async () => {
    const down = new Downstream();
    down.send(GET);
    down.last.stream.inform(103, ["link", "x"]);
    down.last.answer("a");
    await settle();
    expect(down.wire.take()).toBe(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${ok("a")}`);
    down.send("GET / HTTP/1.0\r\n\r\n");
    down.last.stream.inform(103, []);
    down.last.answer("a");
    await settle();
    expect(down.wire.take()).toBe("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na");
  });

  test("Http1ServerConnection lets the client wait for 100 and then send the body", async () => {
    const down = new Downstream();
    down.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    down.last.stream.inform(100, []);
    await settle();
    expect(down.wire.take()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    down.send("hi");
    down.last.answer("ok");
    await settle();
    expect(down.wire.take()).toBe(ok("ok"));
    expect(down.wire.shut).toBe(false);
  });

  test("Http1ServerConnection speaks HTTP/1.0 as that needs: length, close, keep-alive on demand", async () => {
    const down = new Downstream();
    down.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    down.last.answer("a");
    await settle();
    expect(down.wire.take()).toBe("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\na");
    down.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    down.last.stream.respond({ status: 200, headers: [], bodyLength: -1 });
    down.last.stream.body(latin1("until the end"));
    down.last.stream.end(null);
    await settle();
    expect(down.wire.take()).toBe("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end");
    expect(down.wire.shut).toBe(true);
  });

  test("Http1ServerConnection resets a response to HTTP/1.0 that broke off: it must not look whole", async () => {
    const down = new Downstream();
    down.send("GET / HTTP/1.0\r\n\r\n");
    down.last.stream.respond({ status: 200, headers: [], bodyLength: -1 });
    down.last.stream.body(latin1("half"));
    await settle();
    down.last.stream.reset();
    expect(down.wire).toMatchObject({ terminated: true, shut: false, ended: false });
  });
});

describe("pipelining", () => {
  test("Http1ServerConnection serves pipelined requests in order, one at a time", async () => {
    const down = new Downstream();
    down.send(`${GET}${post("body")}${GET}`.replace("GET /", "GET /1"), GET);
    expect(down.requests).toHaveLength(1);
    down.requests[0]?.answer("1");
    await settle();
    expect(down.requests).toHaveLength(2);
    expect(down.last).toMatchObject({ body: "body", ended: true });
    down.last.answer("2");
    await settle();
    down.last.answer("3");
    await settle();
    down.last.answer("4");
    await settle();
    expect(down.wire.written).toBe(["1", "2", "3", "4"].map(ok).join(""));
    expect(down.requests).toHaveLength(4);
  });

  test("Http1ServerConnection serves thousands of pipelined requests that are answered at once", async () => {
    const down = new Downstream();
    down.onAccept = (request) => request.answer("x");
    const count = 30_000;
    down.send("GET / HTTP/1.1\r\nHost:\r\n\r\n".repeat(count));
    for (let i = 0; i < 100 && down.requests.length < count; i++) await settle();
    expect(down.requests).toHaveLength(count);
    expect(down.wire.written).toBe(ok("x").repeat(count));
  });

  test("Http1ServerConnection stops reading when too much is pipelined, and goes on later", async () => {
    const down = new Downstream();
    down.send(GET);
    const many = GET.repeat(Math.ceil(PIPELINE_BYTES_MAX / GET.length));
    down.send(many.slice(0, PIPELINE_BYTES_MAX));
    expect(down.wire.paused).toBe(false);
    down.send(many.slice(PIPELINE_BYTES_MAX) + "G");
    expect(down.wire.paused).toBe(true);
    down.onAccept = (request) => request.answer("x");
    down.requests[0]?.answer("x");
    for (let i = 0; i < 100; i++) await settle();
    expect(down.wire.paused).toBe(false);
    down.send("ET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await settle();
    expect(down.requests).toHaveLength(2 + many.length / GET.length);
  });

  test("Http1ServerConnection answers no further pipelined request while the client does not read", async () => {
    const down = new Downstream();
    down.wire.room = 0;
    down.onAccept = (request) => request.answer("x".repeat(1_000));
    down.send(GET.repeat(5_000));
    for (let i = 0; i < 50; i++) await settle();
    const answered = down.requests.length;
    expect(answered).toBeLessThan(WRITE_HIGH_WATER_BYTES / 1_000 + 5);
    expect(down.wire.paused).toBe(true);
    down.drain();
    for (let i = 0; i < 5_000 && down.requests.length < 5_000; i++) await settle();
    expect(down.wire.written).toBe(ok("x".repeat(1_000)).repeat(5_000));
    expect(down.wire.paused).toBe(false);
  });

  test("Http1ServerConnection drops what is pipelined behind a request that closes", async () => {
    const down = new Downstream();
    down.send(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${GET}`);
    down.last.answer("a");
    await settle();
    expect(down.wire.written).toBe("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na");
    expect(down.requests).toHaveLength(1);
    expect(down.wire.shut).toBe(true);
  });
});

describe("backpressure", () => {
  test("Http1ServerConnection pauses the client for its handler", () => {
    const down = new Downstream();
    down.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    down.last.stream.pauseRequest();
    expect(down.wire.paused).toBe(true);
    down.last.stream.resumeRequest();
    expect(down.wire.paused).toBe(false);
  });

  test("Http1ServerConnection says stop to a fast response, and holds a bounded part of it", () => {
    const down = new Downstream();
    down.wire.room = 0;
    down.send(GET);
    const { stream } = down.last;
    stream.respond({ status: 200, headers: [], bodyLength: 10_000_000 });
    let given = 0;
    while (stream.body(new Uint8Array(10_000))) given += 10_000;
    expect(given).toBeLessThan(WRITE_HIGH_WATER_BYTES + 20_000);
    expect(down.last.writable).toBe(0);
    down.drain();
    expect(down.last.writable).toBe(1);
  });

  test("Http1ServerConnection reads on after a response that left the request paused", async () => {
    const down = new Downstream();
    down.send(post("x"));
    down.last.stream.pauseRequest();
    down.last.answer("a");
    await settle();
    expect(down.wire.paused).toBe(false);
  });

  test("Http1ServerConnection reads the rest of a request on that was paused when its response ended", async () => {
    const down = new Downstream();
    down.send(post("0123456789").slice(0, -5));
    down.last.stream.pauseRequest();
    down.last.answer("a");
    await settle();
    expect(down.wire.paused).toBe(false);
    down.send(`56789${GET}`);
    expect(down.requests).toHaveLength(2);
  });

  test("Http1ServerConnection sends each piece of a response as it comes", async () => {
    const down = new Downstream();
    down.send(GET);
    down.last.stream.respond({ status: 200, headers: [], bodyLength: 2 });
    await settle();
    down.wire.take();
    down.last.stream.body(latin1("o"));
    await settle();
    expect(down.wire.take()).toBe("o");
  });
});

describe("a tunnel that is granted", () => {
  test("Http1ServerConnection passes on what came too early, and reads on", async () => {
    const down = new Downstream();
    const early = "x".repeat(PIPELINE_BYTES_MAX + 1);
    down.send("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", early);
    expect([down.wire.paused, down.last.body]).toEqual([true, ""]);
    down.last.stream.respond({ status: 200, headers: [], bodyLength: -1 });
    expect(down.wire.paused).toBe(false);
    await settle();
    expect(down.last.body).toBe(early);
  });
});

describe("a tunnel that is refused", () => {
  const ASKS = ["GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"]
    .concat("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n");
  const refuse = (down: Downstream) => {
    down.last.stream.respond({ status: 403, headers: [], bodyLength: 0 });
    down.last.stream.end(null);
  };

  test.each(ASKS)("Http1ServerConnection reads no request in what came behind it: %j", async (asks) => {
    for (const when of ["at once", "later"]) {
      const down = new Downstream();
      if (when === "at once") down.onAccept = () => refuse(down);
      down.send(asks + GET);
      if (when === "later") refuse(down);
      await settle();
      expect(down.wire.written).toBe(
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
      );
      expect(down.requests).toHaveLength(1);
    }
  });

  test.each(ASKS)("Http1ServerConnection goes on where nothing did: %j", async (asks) => {
    const down = new Downstream();
    down.onAccept = () => refuse(down);
    expect(await down.exchange(asks)).not.toContain("connection: close");
    down.onAccept = (request) => request.answer("a");
    expect(await down.exchange(GET)).toStartWith("HTTP/1.1 200 OK\r\n");
  });
});
