/** Copies of requests: where they go, what is in them, and that nobody waits for them. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { MIRRORS_IN_FLIGHT_MAX, shadowAuthority } from "../../../../src/proxy/filters/mirror.ts";
import { forward, OTHER_CLUSTER, routedPlane } from "../routed_plane.ts";
import { OK } from "../http1/upstream.ts";

const MIRROR = { cluster: OTHER_CLUSTER, percentage: 100 };

function mirrored(percentage = 100, timeoutMs = 0) {
  const timeout = timeoutMs === 0 ? {} : { timeoutMs };
  const plane = routedPlane({ action: forward({ mirrors: [{ ...MIRROR, percentage }], ...timeout }) });
  const connection = (hostname: string) => {
    const found = plane.network.attempts.find(({ address }) => address.hostname === hostname);
    if (found === undefined) throw new Error(`Nothing went to ${hostname}`);
    return found.accept();
  };
  return {
    plane,
    client: plane.caller(),
    primary: () => connection("192.0.2.1"),
    mirror: () => connection("192.0.2.9"),
  };
}

describe("Mirror", () => {
  test("is sent what the upstream is sent, and -shadow in the authority", async () => {
    const { client, primary, mirror, plane } = mirrored();
    client.send("POST /a?b HTTP/1.1\r\nHost: shop:80\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello");
    const [first, copy] = [await primary().read(), await mirror().read()];
    expect(copy).toStartWith("POST /a?b HTTP/1.1\r\nhost: shop-shadow:80\r\n");
    expect(copy).toEndWith("content-length: 5\r\n\r\nhello");
    expect(copy.replace("shop-shadow:80", "shop:80")).toBe(first);
    expect(plane.exchanges.mirrors.count).toBe(1);
  });

  test("is waited for by nobody, and counted by itself", async () => {
    const { plane, client, primary, mirror } = mirrored();
    client.get();
    primary().say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(plane.counted()).toEqual(["200 - shop-1"]);
    mirror().say("HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno");
    expect(await client.read()).toBe("");
    expect(plane.counted()).toEqual(["200 - shop-1", "500 - shop-9"]);
    expect(plane.exchanges.mirrors.count).toBe(0);
  });

  test("may fail, break off or never answer, and the request knows nothing of it", async () => {
    for (const how of ["refuse", "close", "silence"] as const) {
      const { plane, client, primary, mirror } = mirrored(100, 1_000);
      client.get();
      const upstream = primary();
      if (how === "refuse") {
        plane.network.attempts.find(({ address }) => address.hostname === "192.0.2.9")?.refuse();
      } else {
        const connection = mirror();
        if (how === "close") connection.close("reset");
      }
      upstream.say(OK);
      expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
      if (how === "silence") plane.clock.advance(2_000);
      const flags = { refuse: "503 UF", close: "503 UC", silence: "504 UT" }[how];
      expect(plane.counted()).toEqual(["200 - shop-1", `${flags} shop-9`]);
      expect(plane.exchanges.mirrors.count).toBe(0);
    }
  });

  test("is sent when the request is complete, and not when it is too large to keep", async () => {
    for (
      const [length, sent] of [[DEFAULT_LIMITS.replayBytes, 2], [DEFAULT_LIMITS.replayBytes + 1, 1]] as const
    ) {
      const { plane, client, primary } = mirrored();
      client.send(`POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: ${length}\r\n\r\n`, "x");
      primary();
      expect(plane.network.attempts).toHaveLength(1);
      client.send("x".repeat(length - 1));
      expect(plane.network.attempts).toHaveLength(sent);
    }
  });

  test("gets its body also when the answer came before it", async () => {
    const { client, primary, mirror } = mirrored();
    client.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nab");
    primary().say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    client.send("cd");
    expect(await mirror().read()).toEndWith("\r\n\r\nabcd");
  });

  test("is sent for as many requests as its percentage says", () => {
    const { plane } = mirrored(25);
    for (let i = 0; i < 2_000; i++) {
      const client = plane.caller();
      client.get();
      client.close();
    }
    const started = plane.exchanges.mirrors.count;
    expect(Math.abs(started - 500)).toBeLessThanOrEqual(3 * Math.sqrt(2_000 * 0.25 * 0.75));
  });

  test("is one too many beyond its limit", () => {
    const { plane } = mirrored();
    plane.exchanges.mirrors.count = MIRRORS_IN_FLIGHT_MAX - 1;
    for (let i = 0; i < 2; i++) plane.caller().get();
    expect(plane.exchanges.mirrors.count).toBe(MIRRORS_IN_FLIGHT_MAX);
    expect(plane.network.attempts.filter(({ address }) => address.hostname === "192.0.2.9")).toHaveLength(1);
  });
});

test.each([
  ["shop", "shop-shadow"],
  ["shop:8080", "shop-shadow:8080"],
  ["[::1]:80", "[::1]-shadow:80"],
  ["[::1]", "[::1]-shadow"],
])("shadowAuthority() makes %s %s", (authority, expected) => {
  expect(shadowAuthority(authority)).toBe(expected);
});
