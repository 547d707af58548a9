/** RFC 8441 §3: what a peer may be asked for is what it says. */
import { describe, expect, test } from "bun:test";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import { TERMS_DEFAULT } from "../../../../src/proxy/connection_terms.ts";
import { headers, settings } from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

const ENABLE_CONNECT_PROTOCOL = 8;
const WEB_SOCKET = { tunnel: "websocket", bodyLength: -1 } as const;
const SENT = "HEADERS 3 :method=CONNECT :protocol=websocket :scheme=http :path=/ :authority=a";

describe("an upgrade over HTTP/2", () => {
  test("waits for the peer's settings with what came for it, and holds nobody up", async () => {
    const up = new Http2Upstream();
    await up.read();
    const upgrade = up.request(WEB_SOCKET);
    expect(upgrade.stream.body(Buffer.from("early"))).toBe(false);
    const other = up.request();
    expect(await up.read()).toEqual(["HEADERS 1 END_STREAM :method=GET :scheme=http :path=/ :authority=a"]);
    expect(up.connection.capacity).toBe(98);
    up.answer(settings([ENABLE_CONNECT_PROTOCOL, 1]));
    expect(await up.read()).toEqual(["SETTINGS ACK", SENT, 'DATA 3 "early"']);
    up.answer(headers(3, [":status", "200"]), headers(1, [":status", "204"], true));
    expect(upgrade.response.head?.status).toBe(101);
    expect(other.response.ended).toBeTrue();
    upgrade.stream.body(Buffer.from("late"));
    upgrade.stream.end(null);
    expect(await up.read()).toEqual(['DATA 3 "late"', 'DATA 3 "" END_STREAM']);
  });

  test("whose half has ended before is sent with its end", async () => {
    const up = new Http2Upstream();
    const { stream } = up.request(WEB_SOCKET);
    stream.end(null);
    up.answer(settings([ENABLE_CONNECT_PROTOCOL, 1]));
    expect((await up.read()).slice(-2)).toEqual([SENT.replace("3", "1"), 'DATA 1 "" END_STREAM']);
  });

  test.each([[[]], [[[ENABLE_CONNECT_PROTOCOL, 0]]]] as const)(
    "is never sent where the peer does not take any: settings %p",
    async (pairs) => {
      const up = new Http2Upstream();
      const waiting = up.request(WEB_SOCKET);
      up.answer(settings(...pairs));
      const late = up.request(WEB_SOCKET);
      expect(late.response.reset).toBeNull();
      expect((await up.read()).slice(2)).toEqual(["SETTINGS ACK"]);
      for (const { response } of [waiting, late]) expect(response.reset).toEqual(["refused", false]);
      expect(up.connection.capacity).toBe(100);
      up.request();
      expect(await up.read()).toHaveLength(1);
    },
  );

  test("is sent once the peer has changed its mind", async () => {
    const up = await Http2Upstream.greeted();
    up.answer(settings([ENABLE_CONNECT_PROTOCOL, 1]));
    up.request(WEB_SOCKET);
    expect(await up.read()).toEqual(["SETTINGS ACK", SENT.replace("3", "1")]);
  });

  test("that is given up before is not sent", async () => {
    const up = new Http2Upstream();
    const { stream, response } = up.request(WEB_SOCKET);
    stream.reset();
    up.answer(settings([ENABLE_CONNECT_PROTOCOL, 1]));
    expect((await up.read()).slice(2)).toEqual(["SETTINGS ACK"]);
    expect(response.reset).toBeNull();
  });

  test("is lost with a connection that ends before, or is silent, retired or not", () => {
    const ended = new Http2Upstream();
    const { response } = ended.request(WEB_SOCKET);
    ended.connection.onEnd();
    expect(response.reset).toEqual(["closed", false]);
    const retired = new Http2Upstream();
    const waiting = retired.request(WEB_SOCKET);
    retired.connection.retire();
    expect([retired.wire.closed, waiting.response.reset]).toEqual([false, null]);
    const { intervalMs, timeoutMs } = TERMS_DEFAULT.keepalive;
    for (const ms of [intervalMs, timeoutMs]) retired.clock.advance(ms + WHEEL_LATENESS_MS);
    expect(waiting.response.reset).toEqual(["closed", false]);
  });

  test("is taken or not: any other setting is an error of the connection", async () => {
    const up = new Http2Upstream();
    const { response } = up.request(WEB_SOCKET);
    up.answer(settings([ENABLE_CONNECT_PROTOCOL, 2]));
    expect((await up.read()).at(-1)).toBe("GOAWAY 0 PROTOCOL_ERROR");
    expect(response.reset?.[1]).toBe(false);
  });
});
