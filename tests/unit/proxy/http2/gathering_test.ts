/** When what a connection has to say leaves: in how few writes, and how soon. */
import { describe, expect, test } from "bun:test";
import { settle } from "../fake_wire.ts";
import { Http2Upstream } from "./upstream.ts";

/** The callback is over, the turn of the event loop is not. */
async function callbackEnds(): Promise<void> {
  await Promise.resolve();
  await Promise.resolve();
}

describe("Http2Connection", () => {
  test("sends what its only stream says when the callback is over", async () => {
    const up = await Http2Upstream.greeted();
    const { writes } = up.wire;
    const { stream } = up.request({ method: "POST", bodyLength: 2 });
    stream.body(new Uint8Array(2));
    stream.end(null);
    expect(up.wire.writes).toBe(writes);
    await callbackEnds();
    expect(up.wire.writes).toBe(writes + 1);
    await settle();
    expect(up.wire.writes).toBe(writes + 1);
  });

  test("gathers what several streams say in one turn", async () => {
    const up = await Http2Upstream.greeted();
    up.request();
    await settle();
    const { writes } = up.wire;
    for (let i = 0; i < 3; i++) {
      up.request();
      await callbackEnds();
      expect(up.wire.writes).toBe(writes);
    }
    await settle();
    expect(up.wire.writes).toBe(writes + 1);
  });

  test("goes back to the callback's end with the last but one stream", async () => {
    const up = await Http2Upstream.greeted();
    const [first, second] = [up.request(), up.request()];
    await settle();
    first.stream.reset();
    await settle();
    const { writes } = up.wire;
    second.stream.reset();
    await callbackEnds();
    expect(up.wire.writes).toBe(writes + 1);
  });
});
