/** Max-Forwards (RFC 9110 §7.6.2): counted down by each proxy, and the last answers. */
import { describe, expect, test } from "bun:test";
import { DataPlane, endpoint, shopSnapshot } from "../data_plane.ts";
import { OK } from "../http1/upstream.ts";

const ask = (method: string, forwards: string) =>
  `${method} / HTTP/1.1\r\nHost: shop\r\nMax-Forwards: ${forwards}\r\n\r\n`;

async function passedOn(method: string, forwards: string): Promise<string | undefined> {
  const plane = new DataPlane(shopSnapshot(endpoint(1)));
  plane.caller().send(ask(method, forwards));
  return /^max-forwards: (.*)\r$/m.exec(await plane.network.last.accept().read())?.[1];
}

describe("HttpExchange", () => {
  test.each([
    ["OPTIONS", "10", "9"],
    ["OPTIONS", "1", "0"],
    ["TRACE", "3", "2"],
    // Others are not counted, and neither is what is no number.
    ["GET", "0", "0"],
    ["OPTIONS", "-1", "-1"],
    ["OPTIONS", "few", "few"],
  ])("sends %s that may pass %s proxies on as %s", async (method, before, after) => {
    expect(await passedOn(method, before)).toBe(after);
  });

  test.each([
    ["OPTIONS", "HTTP/1.1 200 OK\r\n"],
    ["TRACE", "HTTP/1.1 501 Not Implemented\r\n"],
  ])("answers %s that may pass none", async (method, line) => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const client = plane.caller();
    client.send(ask(method, "0"));
    expect(await client.read()).toStartWith(line);
    expect(plane.active).toBe(0);
    expect(plane.counted()).toEqual([`${line.slice(9, 12)} - shop-1`]);
  });

  test("counts one proxy, however often it tries", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const client = plane.caller();
    client.get();
    const kept = plane.network.last.accept();
    kept.say(OK);
    client.send(ask("OPTIONS", "7"));
    expect(await kept.read()).toContain("max-forwards: 6\r\n");
    kept.close();
    plane.clock.advance(500);
    expect(await plane.network.last.accept().read()).toContain("max-forwards: 6\r\n");
  });
});
