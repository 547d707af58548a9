/** Requests to an upstream on one connection, and everything that an upstream may do wrong. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { WRITE_HIGH_WATER_BYTES } from "../../../../src/proxy/io/byte_writer.ts";
import { latin1, settle } from "../fake_wire.ts";
import { OK, SeenResponse, Upstream } from "./upstream.ts";

describe("Http1ClientConnection", () => {
  test("Http1ClientConnection sends requests one after the other and is idle between them", async () => {
    const up = new Upstream();
    for (let i = 1; i <= 3; i++) {
      const response = up.request({ path: `/${i}` });
      expect(await up.read()).toBe(`GET /${i} HTTP/1.1\r\nhost: a\r\n\r\n`);
      expect(up.idle).toBe(i - 1);
      up.answer(OK);
      expect(response).toMatchObject({
        head: { status: 200, bodyLength: 2 },
        body: "ok",
        ended: true,
        reset: null,
      });
      expect(up.idle).toBe(i);
    }
    expect(up.gone).toBe(0);
  });

  test("Http1ClientConnection keeps bytes for a tunnel back until it is granted", async () => {
    const up = new Upstream();
    const response = up.request({ tunnel: "websocket", bodyLength: -1 });
    expect(up.connection.body(latin1("early"))).toBe(false);
    up.connection.body(latin1(" bird"));
    expect(await up.read()).toEndWith("\r\n\r\n");
    up.answer("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello");
    expect(await up.read()).toBe("early bird");
    expect(response).toMatchObject({ head: { status: 101 }, body: "hello", writable: 1 });
    expect(up.connection.body(latin1("late"))).toBe(true);
    expect(await up.read()).toBe("late");
  });

  test("Http1ClientConnection ends a granted tunnel's half that the client ended early", async () => {
    const up = new Upstream();
    up.request({ tunnel: "websocket", bodyLength: -1 });
    up.connection.body(latin1("all"));
    up.connection.end(null);
    up.answer("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    expect(await up.read()).toEndWith("\r\n\r\nall");
    expect(up.wire.shut).toBe(true);
  });

  test("Http1ClientConnection sends nothing of a tunnel that is refused: it would be another request", async () => {
    for (const status of ["200 OK", "403 Forbidden"]) {
      const up = new Upstream();
      const response = up.request({ tunnel: "websocket", bodyLength: -1 });
      up.connection.body(latin1("GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"));
      up.connection.end(null);
      expect(await up.read()).not.toContain("smuggled");
      up.answer(`HTTP/1.1 ${status}\r\ncontent-length: 2\r\n\r\nno`);
      expect(response).toMatchObject({ body: "no", ended: true });
      expect(await up.read()).toBe("");
    }
  });

  test("Http1ClientConnection sends a body by length, or in chunks with trailers", async () => {
    const up = new Upstream();
    up.request({ method: "POST", bodyLength: 2 });
    up.connection.body(latin1("hi"));
    up.connection.end(null);
    expect(await up.read()).toBe("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
    up.answer(OK);
    up.request({ method: "POST", bodyLength: -1 });
    up.connection.body(latin1("hi"));
    up.connection.body(new Uint8Array(0));
    up.connection.end(["x", "y"]);
    expect(await up.read()).toBe(
      "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n",
    );
    up.answer(OK);
    expect(up.idle).toBe(2);
  });

  test("Http1ClientConnection reads 1xx before the response", () => {
    const up = new Upstream();
    const response = up.request();
    up.answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\na: b\r\n\r\n", OK);
    expect(response).toMatchObject({ informed: [100, 103], body: "ok", ended: true });
  });

  test("Http1ClientConnection reads no body where there is none: HEAD, 204, 304, length 0", () => {
    const up = new Upstream();
    const cases: [string, string][] = [
      ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"],
      ["HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
      ["HEAD", "HTTP/1.1 200 OK\r\n\r\n"],
      ["GET", "HTTP/1.1 204 X\r\n\r\n"],
      ["GET", "HTTP/1.1 304 X\r\nContent-Length: 100\r\n\r\n"],
      ["GET", "HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n"],
    ];
    for (const [method, text] of cases) {
      const response = up.request({ method });
      up.answer(text);
      expect(response).toMatchObject({ body: "", ended: true });
    }
    expect(up.idle).toBe(cases.length);
  });

  test("Http1ClientConnection reads a response that only the close ends, and is gone then", () => {
    const up = new Upstream();
    const response = up.request();
    up.answer("HTTP/1.1 200 OK\r\n\r\nhel", "lo");
    expect(response.ended).toBe(false);
    up.connection.onEnd();
    expect(response).toMatchObject({ body: "hello", ended: true });
    expect([up.idle, up.gone]).toEqual([0, 1]);
  });

  test.each([
    ["close", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"],
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
  ])("Http1ClientConnection is not reused after %s", (_what, text) => {
    const up = new Upstream();
    const response = up.request();
    up.answer(text);
    expect(response).toMatchObject({ body: "ok", ended: true });
    expect([up.idle, up.gone]).toEqual([0, 1]);
    expect(up.wire.closed).toBe(true);
  });

  test("Http1ClientConnection gives a response that came before the request ended, and is not reused", () => {
    const up = new Upstream();
    const response = up.request({ method: "POST", bodyLength: 10 });
    up.answer(OK);
    expect(response.ended).toBe(true);
    expect([up.idle, up.gone]).toEqual([0, 1]);
    expect(up.connection.body(latin1("late"))).toBe(true);
    up.connection.end(null);
  });
});

describe("an upstream that does wrong", () => {
  test.each([
    ["garbage", "\x00\x01\r\n\r\n"],
    ["the greeting of another protocol", "220 mail.example ESMTP\r\n"],
    ["the same behind an empty line", "\r\n220 mail.example ESMTP\r\n"],
    ["a bare line feed", "HTTP/1.1 200 OK\n"],
    ["lengths that disagree", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
    ["a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["an upgrade that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n"],
    ["a head too large", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(70_000)}`],
    ["too many fields", `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(101)}\r\n`],
    ["1xx without end", "HTTP/1.1 103 X\r\n\r\n".repeat(17)],
    ["a body for 204", "HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\nok"],
  ])("Http1ClientConnection refuses %s before a response", (_what, text) => {
    const up = new Upstream();
    const response = up.request();
    up.answer(text);
    expect(response).toMatchObject({ head: null, ended: false, reset: ["protocol-error", true] });
    expect(up.wire.terminated).toBe(true);
    expect([up.idle, up.gone]).toEqual([0, 1]);
  });

  test("Http1ClientConnection passes on as many 1xx as are allowed", () => {
    const up = new Upstream();
    const response = up.request();
    up.answer("HTTP/1.1 103 X\r\n\r\n".repeat(16), OK);
    expect(response.informed).toHaveLength(16);
    expect(response.ended).toBe(true);
    // They are counted for each response.
    const next = up.request();
    up.answer("HTTP/1.1 103 X\r\n\r\n".repeat(16), OK);
    expect(next.ended).toBe(true);
  });

  test.each([
    ["a body by length", "Content-Length: 10\r\n\r\nhello"],
    ["chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
    ["the last chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"],
    ["trailers", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n"],
  ])("Http1ClientConnection never takes %s that was cut off for whole", (_what, text) => {
    for (const ending of ["onEnd", "onClose"] as const) {
      const up = new Upstream();
      const response = up.request();
      up.answer(`HTTP/1.1 200 OK\r\n${text}`);
      up.connection[ending]();
      expect(response).toMatchObject({ body: "hello", ended: false, reset: ["closed", true] });
      expect([up.idle, up.gone]).toEqual([0, 1]);
    }
  });

  test("Http1ClientConnection never takes a reset for the end of a body", () => {
    const up = new Upstream();
    const response = up.request();
    up.answer("HTTP/1.1 200 OK\r\n\r\nhello");
    up.connection.onClose();
    expect(response).toMatchObject({ ended: false, reset: ["closed", true] });
  });

  test("Http1ClientConnection breaks off at a bad chunk", () => {
    const up = new Upstream();
    const response = up.request();
    up.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX");
    expect(response).toMatchObject({ body: "hello", ended: false, reset: ["protocol-error", true] });
    expect(up.gone).toBe(1);
  });

  test.each([
    ["two responses at once", "GET", OK + OK],
    ["bytes behind the body", "GET", `${OK}x`],
    ["an empty line behind the body", "GET", `${OK}\r\n`],
    ["a body for HEAD", "HEAD", OK],
    ["a body for 304", "GET", "HTTP/1.1 304 X\r\nContent-Length: 2\r\n\r\nok"],
    ["a body for 204", "GET", "HTTP/1.1 204 X\r\n\r\nok"],
  ])("Http1ClientConnection is not reused after %s", (_what, method, text) => {
    const up = new Upstream();
    const response = up.request({ method });
    up.answer(text);
    expect(response.ended).toBe(true);
    expect([up.idle, up.gone]).toEqual([0, 1]);
  });

  test("Http1ClientConnection is gone when an answer comes to no request", () => {
    const up = new Upstream();
    up.answer(OK);
    expect([up.gone, up.wire.terminated]).toEqual([1, true]);
    const later = new Upstream();
    later.request();
    later.answer(OK);
    later.answer(OK);
    expect([later.idle, later.gone]).toEqual([1, 1]);
  });

  test("Http1ClientConnection is gone when the upstream closes it idle", () => {
    for (const ending of ["onEnd", "onClose"] as const) {
      const up = new Upstream();
      up.request();
      up.answer(OK);
      up.connection[ending]();
      expect([up.idle, up.gone]).toEqual([1, 1]);
    }
  });
});

describe("processed or not", () => {
  test("Http1ClientConnection says that a kept connection which closed in silence processed nothing", () => {
    const up = new Upstream();
    up.request();
    up.answer(OK);
    const second = up.request();
    up.connection.onEnd();
    expect(second.reset).toEqual(["closed", false]);
  });

  test("Http1ClientConnection does not say so of the first request, nor after a word of the answer", () => {
    const fresh = new Upstream();
    const first = fresh.request();
    fresh.connection.onClose();
    expect(first.reset).toEqual(["closed", true]);
    for (const word of ["H", "HTTP/1.1 100 Continue\r\n\r\n"]) {
      const up = new Upstream();
      up.request();
      up.answer(OK);
      const second = up.request();
      up.answer(word);
      up.connection.onClose();
      expect(second.reset).toEqual(["closed", true]);
    }
  });
});

describe("backpressure and time", () => {
  test("Http1ClientConnection says stop to a fast request, and wakes it when all is sent", async () => {
    const up = new Upstream();
    up.wire.room = 0;
    const response = up.request({ method: "POST", bodyLength: 10_000_000 });
    let given = 0;
    while (up.connection.body(new Uint8Array(10_000))) given += 10_000;
    expect(given).toBeLessThan(WRITE_HIGH_WATER_BYTES + 20_000);
    await settle();
    expect(response.writable).toBe(0);
    up.wire.room = Number.POSITIVE_INFINITY;
    up.connection.onDrain();
    expect(response.writable).toBe(1);
  });

  test("Http1ClientConnection stops reading on demand, and reads again for the next response", () => {
    const up = new Upstream();
    up.request();
    up.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    up.connection.pauseResponse();
    expect(up.wire.paused).toBe(true);
    up.answer("k");
    expect(up.wire.paused).toBe(false);
    up.connection.pauseResponse();
    up.connection.resumeResponse();
    expect(up.wire.paused).toBe(false);
  });

  test("Http1ClientConnection gives up on an upstream that does not answer", () => {
    const up = new Upstream();
    const response = up.request();
    up.clock.advance(DEFAULT_LIMITS.streamIdleMs - 1);
    expect(response.reset).toBeNull();
    up.clock.advance(WHEEL_LATENESS_MS + 1);
    expect(response.reset).toEqual(["timeout", true]);
    expect(up.wire.terminated).toBe(true);
  });

  test("Http1ClientConnection gives up on an upstream that never says whether it grants a tunnel", async () => {
    const up = new Upstream();
    const response = up.request({ tunnel: "websocket", bodyLength: -1 });
    await settle();
    up.clock.advance(DEFAULT_LIMITS.streamIdleMs + WHEEL_LATENESS_MS);
    expect(response.reset).toEqual(["timeout", true]);
  });

  test("Http1ClientConnection keeps a granted tunnel for longer than it would wait for an answer", () => {
    const up = new Upstream();
    const response = up.request({ tunnel: "connect", bodyLength: -1 });
    up.connection.end(null);
    up.answer("HTTP/1.1 200 OK\r\n\r\n");
    up.clock.advance(DEFAULT_LIMITS.streamIdleMs + WHEEL_LATENESS_MS);
    expect(response.reset).toBeNull();
  });

  test("Http1ClientConnection does not blame the upstream for a slow client", async () => {
    const sending = new Upstream();
    const waiting = sending.request({ method: "POST", bodyLength: 10 });
    sending.connection.body(latin1("01234"));
    await settle();
    sending.clock.advance(2 * DEFAULT_LIMITS.streamIdleMs);
    expect(waiting.reset).toBeNull();
    sending.connection.end(null);
    sending.clock.advance(2 * DEFAULT_LIMITS.streamIdleMs);
    expect(waiting.reset).toEqual(["timeout", true]);

    const reading = new Upstream();
    const held = reading.request();
    reading.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    reading.connection.pauseResponse();
    reading.clock.advance(2 * DEFAULT_LIMITS.streamIdleMs);
    expect(held.reset).toBeNull();
    reading.connection.resumeResponse();
    reading.clock.advance(2 * DEFAULT_LIMITS.streamIdleMs);
    expect(held.reset).toEqual(["timeout", true]);
  });

  test("Http1ClientConnection gives up on an upstream that does not read the request", () => {
    const up = new Upstream();
    up.wire.room = 0;
    const response = up.request({ method: "POST", bodyLength: 100_000 });
    up.connection.body(new Uint8Array(50_000));
    up.clock.advance(DEFAULT_LIMITS.streamIdleMs + WHEEL_LATENESS_MS);
    expect(response.reset).toEqual(["timeout", true]);
  });

  test("Http1ClientConnection goes on with an upstream that reads the request slowly", () => {
    const up = new Upstream();
    up.wire.room = 0;
    const response = up.request({ method: "POST", bodyLength: 100_000 });
    up.connection.body(new Uint8Array(50_000));
    for (let time = 0; time < 3; time++) {
      up.clock.advance(DEFAULT_LIMITS.streamIdleMs - 1);
      up.wire.room = 10;
      up.connection.onDrain();
    }
    expect(response.reset).toBeNull();
  });

  test("Http1ClientConnection closes when it was idle too long, before its first request too", () => {
    for (const used of [false, true]) {
      const up = new Upstream();
      if (used) {
        up.request();
        up.answer(OK);
      }
      up.clock.advance(DEFAULT_LIMITS.connectionIdleMs + WHEEL_LATENESS_MS);
      expect([up.gone, up.wire.closed]).toEqual([1, true]);
    }
  });

  test("Http1ClientConnection.retire() ends an idle connection in order, and a busy one after its response", () => {
    const busy = new Upstream();
    const response = busy.request();
    expect(busy.connection.capacity).toBe(0);
    busy.connection.retire();
    expect(busy.wire.closed).toBe(false);
    busy.answer(OK);
    expect(response.ended).toBe(true);
    expect([busy.idle, busy.wire.closed, busy.connection.capacity]).toEqual([0, true, 0]);

    const up = new Upstream();
    expect(up.connection.capacity).toBe(1);
    up.connection.retire();
    expect(up.connection.capacity).toBe(0);
    expect(up.wire).toMatchObject({ ended: true, terminated: false });
    up.connection.onClose();
    up.clock.advance(20_000);
    expect(up.wheel.size).toBe(0);
  });
});

describe("re-entrancy", () => {
  test("Http1ClientConnection.reset() ends everything at once, from inside a callback too", async () => {
    for (const text of [OK, "HTTP/1.1 204 X\r\n\r\n"]) {
      const up = new Upstream();
      const response = new SeenResponse();
      response.onHead = () => up.connection.reset();
      up.request({}, response);
      up.answer(text);
      expect(response).toMatchObject({ body: "", ended: false, reset: null });
      expect([up.idle, up.gone, up.wire.terminated]).toEqual([0, 1, true]);
    }
    const up = new Upstream();
    const response = up.request();
    up.connection.reset();
    up.answer(OK);
    up.connection.onClose();
    await settle();
    expect(response).toMatchObject({ head: null, reset: null });
    expect(up.wire.written).toBe("");
  });
});
