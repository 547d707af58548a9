/** Peers that are gone without a word, and peers that only have nothing to say. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import {
  connectionTerms,
  STRANGER_PING_INTERVAL_MS,
  TERMS_DEFAULT,
} from "../../../../src/proxy/connection_terms.ts";
import { DOUBT_MS } from "../../../../src/proxy/http2/keepalive.ts";
import { meshHopTerms } from "../../../../src/proxy/mesh_hop.ts";
import { TestAuthority } from "../../identity/odd_certificates.ts";
import { DataPlane, endpoint, SHOP_ID, shopSnapshot } from "../data_plane.ts";
import { OTHER_NAME } from "../fake_network.ts";
import { settle } from "../fake_wire.ts";
import { MeshUpstream } from "../mesh_upstream.ts";
import { Http2Downstream } from "./downstream.ts";
import { ACK, data, get, headers, ping, settings } from "./raw_frames.ts";
import { Http2Upstream } from "./upstream.ts";

const OK = [":status", "200"];
/** Between two pings of a client, the default of grpc-go, grpc-java and gRPC's core; after a few more it is thrown out. */
const GRPC_SERVER_BEARS_MS = 300_000;
const PING = "PING \0\0\0\0\0\0\0\0";

/** Deadlines are kept a little late. */
function pass(up: { clock: { advance(ms: number): void } }, ms: number): void {
  up.clock.advance(ms + WHEEL_LATENESS_MS);
}

/** Another proxy of the mesh. */
async function greetedProxy(): Promise<Http2Upstream> {
  const up = new Http2Upstream(undefined, meshHopTerms(TERMS_DEFAULT));
  up.answer(settings());
  await up.read();
  return up;
}

describe("Keepalive", () => {
  test("a peer that is silent under an open stream is asked, and its answer is enough", async () => {
    const up = await greetedProxy();
    const { response } = up.request();
    await up.read();
    for (let i = 0; i < 3; i++) {
      up.clock.advance(DEFAULT_LIMITS.keepaliveIntervalMs - 100);
      expect(await up.read()).toEqual([]);
      pass(up, 100);
      expect(await up.read()).toEqual([PING]);
      up.clock.advance(DEFAULT_LIMITS.keepaliveTimeoutMs - 100);
      up.answer(ping("\0".repeat(8), ACK));
    }
    up.answer(headers(1, OK, true));
    expect([response.ended, up.gone]).toEqual([true, 0]);
  });

  test("a peer that does not answer is given up: its streams break off as closed", async () => {
    const up = await greetedProxy();
    const responses = [up.request().response, up.request().response];
    up.answer(headers(3, OK), data(3, "x"));
    pass(up, DEFAULT_LIMITS.keepaliveIntervalMs);
    up.clock.advance(DEFAULT_LIMITS.keepaliveTimeoutMs - WHEEL_LATENESS_MS);
    expect([up.gone, up.wire.closed]).toEqual([0, false]);
    pass(up, WHEEL_LATENESS_MS);
    expect(responses.map(({ reset }) => reset)).toEqual([["closed", false], ["closed", true]]);
    expect([up.gone, up.wire.closed, up.connection.capacity]).toEqual([1, true, 0]);
    up.clock.advance(2 * DEFAULT_LIMITS.connectionIdleMs);
    expect([up.wheel.size, up.clock.pending]).toEqual([0, 0]);
  });

  test("anything that comes is a sign of life, and puts the next question off", async () => {
    const up = await greetedProxy();
    up.request();
    up.answer(headers(1, OK));
    await up.read();
    for (let i = 0; i < 20; i++) {
      up.clock.advance(DEFAULT_LIMITS.keepaliveIntervalMs - 1_000);
      up.answer(data(1, "x"));
    }
    expect(await up.read()).toEqual([]);
    pass(up, DEFAULT_LIMITS.keepaliveIntervalMs);
    expect(await up.read()).toEqual([PING]);
    up.answer(data(1, "y"));
    pass(up, DEFAULT_LIMITS.keepaliveTimeoutMs);
    expect(up.gone).toBe(0);
  });

  test("nobody is asked while nobody waits; whoever comes after a long silence is not kept waiting", async () => {
    const up = await greetedProxy();
    up.clock.advance(10 * DEFAULT_LIMITS.keepaliveIntervalMs);
    expect(await up.read()).toEqual([]);
    const { response } = up.request();
    expect((await up.read()).at(-1)).toBe(PING);
    pass(up, DEFAULT_LIMITS.keepaliveTimeoutMs);
    expect(response.reset).toEqual(["closed", true]);
  });

  test("a peer that owes an answer is given up though the stream is over", async () => {
    const up = await greetedProxy();
    const { stream } = up.request();
    pass(up, DEFAULT_LIMITS.keepaliveIntervalMs);
    stream.reset();
    pass(up, DEFAULT_LIMITS.keepaliveTimeoutMs);
    expect([up.gone, up.wire.closed]).toEqual([1, true]);
  });
});

describe("a peer that is slow to answer", () => {
  test("is doubted after a second, and no more once it says something", async () => {
    const up = await greetedProxy();
    up.request();
    pass(up, DEFAULT_LIMITS.keepaliveIntervalMs);
    up.clock.advance(DOUBT_MS - WHEEL_LATENESS_MS);
    expect(up.doubts).toEqual([]);
    pass(up, WHEEL_LATENESS_MS);
    expect(up.doubts).toEqual([true]);
    up.answer(ping("\0".repeat(8), ACK));
    expect(up.doubts).toEqual([true, false]);
    up.answer(data(1, ""));
    expect([up.doubts, up.gone]).toEqual([[true, false], 0]);
  });

  test("is not doubted where it has no more than a second before it is given up", async () => {
    const keepalive = { intervalMs: 2_000, timeoutMs: DOUBT_MS, whenIdle: true };
    const up = new Http2Upstream(undefined, { ...TERMS_DEFAULT, keepalive });
    up.answer(settings());
    pass(up, 2_000);
    pass(up, DOUBT_MS);
    expect([up.doubts, up.gone]).toEqual([[], 1]);
  });
});

describe("a peer that is no proxy of ours", () => {
  test("is asked no more often than a gRPC server bears, and given up all the same", async () => {
    const limits = { ...DEFAULT_LIMITS, streamIdleMs: DEFAULT_LIMITS.connectionIdleMs };
    const up = new Http2Upstream(undefined, connectionTerms({}, limits));
    up.answer(settings());
    const { response } = up.request();
    for (let i = 0; i < 3; i++) {
      up.clock.advance(GRPC_SERVER_BEARS_MS);
      expect(await up.read()).not.toContain(PING);
      pass(up, STRANGER_PING_INTERVAL_MS - GRPC_SERVER_BEARS_MS);
      expect(await up.read()).toContain(PING);
      if (i < 2) up.answer(ping("\0".repeat(8), ACK));
    }
    pass(up, DEFAULT_LIMITS.keepaliveTimeoutMs);
    expect([response.reset, up.gone]).toEqual([["closed", true], 1]);
  });

  test("is asked as often as its cluster says", () => {
    const terms = connectionTerms({ http2KeepAlive: { intervalMs: 1_000 } }, DEFAULT_LIMITS);
    for (const one of [terms, meshHopTerms(terms)]) expect(one.keepalive.intervalMs).toBe(1_000);
  });
});

describe("a machine that is gone without a word", () => {
  test("its requests are answered with UC, and those after them go to another connection", async () => {
    const { der } = await (await TestAuthority.make()).issue({ names: [{ type: "url", value: SHOP_ID }] });
    const plane = new DataPlane(shopSnapshot(endpoint(1, true)));
    const meet = async () => {
      const connection = plane.network.last.accept();
      const upstream = new MeshUpstream(connection, plane.wheel);
      connection.handshake(der, OTHER_NAME);
      for (let i = 0; i < 3; i++) await settle();
      return upstream;
    };
    const lost = plane.caller();
    lost.get();
    const first = plane.network.last;
    const upstream = await meet();
    expect(upstream.requests).toHaveLength(1);
    // Nothing arrives any more, in either direction.
    first.wire.write = (_, _offset = 0, length = 0) => length;
    pass(plane, DEFAULT_LIMITS.keepaliveIntervalMs);
    pass(plane, DEFAULT_LIMITS.keepaliveTimeoutMs);
    expect(await lost.read()).toContain("x-bowline-reply: UC ");
    expect(plane.counted()).toEqual(["503 UC shop-1"]);

    const next = plane.caller();
    next.get();
    expect(plane.network.last).not.toBe(first);
    const second = await meet();
    second.last.answer("back");
    for (let i = 0; i < 3; i++) await settle();
    expect(await next.read()).toEndWith("\r\n\r\nback");
  });
});

describe("a quiet tunnel", () => {
  test("is reset after an hour, at either end", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, [":method", "CONNECT", ":authority", "a:1"]));
    down.last.stream.respond({ status: 200, headers: [], bodyLength: -1 });
    const up = await Http2Upstream.greeted();
    const request = {
      method: "CONNECT",
      authority: "a:1",
      path: "",
      bodyLength: -1,
      tunnel: "connect",
    } as const;
    const { response } = up.request(request);
    up.answer(headers(1, OK));
    for (let ms = 0; ms < DEFAULT_LIMITS.tunnelIdleMs; ms += 20_000) {
      expect([down.last.reset, response.reset]).toEqual([null, null]);
      down.clock.advance(20_000);
      up.clock.advance(20_000);
      // Only the connection is alive.
      up.answer(ping("answered", ACK));
    }
    down.clock.advance(1_000);
    up.clock.advance(1_000);
    expect([down.last.reset, response.reset]).toEqual(["timeout", ["timeout", true]]);
  });
});

describe("a client that pings by itself", () => {
  // @grpc/grpc-js with keepalive_time_ms, and with keepalive_permit_without_calls.
  const EVERY_MS = 10_000;

  test.each([EVERY_MS, 1_000])(
    "every %d ms is answered for as long as its connection may be idle",
    async (every) => {
      const down = await Http2Downstream.greeted();
      for (let ms = 0; ms < DEFAULT_LIMITS.connectionIdleMs - every; ms += every) {
        expect(await down.exchange(ping())).toEqual(["PING ACK abcdefgh"]);
        down.clock.advance(every);
      }
      expect([down.closed, down.malformed]).toEqual([0, []]);
    },
  );

  test("is answered through hours of a stream in which something moves now and then", async () => {
    const down = await Http2Downstream.greeted();
    down.send(headers(1, get()));
    down.last.stream.respond({ status: 200, headers: [], bodyLength: -1 });
    await down.read();
    for (let n = 0; n < 3 * 360; n++) {
      if (n % 20 === 0) down.last.stream.body(Buffer.from("x"));
      expect((await down.exchange(ping())).at(-1)).toBe("PING ACK abcdefgh");
      down.clock.advance(EVERY_MS);
    }
    expect([down.closed, down.malformed]).toEqual([0, []]);
  });
});
