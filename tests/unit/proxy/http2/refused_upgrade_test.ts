/** An HTTP/1 answer to WebSocket's upgrade that grants nothing, on its way through HTTP/2, where 2xx would grant it. */
import { describe, expect, test } from "bun:test";
import { Http2Downstream } from "./downstream.ts";
import { data, headers } from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

const UPGRADE = [
  ...[":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a"],
];

describe("an upgrade that is answered like any other request", () => {
  async function answered(status: number): Promise<string[]> {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, UPGRADE));
    const { stream } = down.last;
    stream.respond({ status, headers: [], bodyLength: 2 });
    stream.body(Buffer.from("ok"));
    stream.end(null);
    return await down.read();
  }

  test.each([200, 299])("Http2ServerConnection does not say %d", async (status) => {
    expect((await answered(status)).slice(0, 2)).toEqual([
      `HEADERS 1 :status=502 x-bowline-status=${status} content-length=2`,
      'DATA 1 "ok" END_STREAM',
    ]);
  });

  test.each([300, 403])("Http2ServerConnection says %d, which grants nothing", async (status) => {
    expect((await answered(status))[0]).toBe(`HEADERS 1 :status=${status} content-length=2`);
  });

  test("Http2ServerConnection grants 101 as 200", async () => {
    expect((await answered(101))[0]).toBe("HEADERS 1 :status=200");
  });

  const FIELDS = ["content-length", "2", "x-bowline-status"];

  test("Http2ClientConnection finds the status again, and no tunnel", async () => {
    const up = await Http2Upstream.greeted([8, 1]);
    const { response } = up.request({ tunnel: "websocket", bodyLength: -1 });
    up.answer(headers(1, [":status", "502", ...FIELDS, "200"]), data(1, "ok", true));
    expect(response).toMatchObject({ head: { status: 200, headers: [] }, body: "ok", ended: true });
  });

  test.each(["403", "101", "2000", ""])("Http2ClientConnection believes no status %p", async (status) => {
    const up = await Http2Upstream.greeted([8, 1]);
    const { response } = up.request({ tunnel: "websocket", bodyLength: -1 });
    up.answer(headers(1, [":status", "502", ...FIELDS, status]), data(1, "ok", true));
    expect(response).toMatchObject({ head: { status: 502, headers: [] }, body: "ok", ended: true });
  });

  test("Http2ClientConnection takes the status of no other request's answer from there", async () => {
    const up = await Http2Upstream.greeted();
    const { response } = up.request();
    up.answer(headers(1, [":status", "502", ...FIELDS, "200"]), data(1, "ok", true));
    expect(response.head?.status).toBe(502);
  });
});
