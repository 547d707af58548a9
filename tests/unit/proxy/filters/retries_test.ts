/** Attempts after the first by a route's own policy, and the times that limit them. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import type { RetryPolicy } from "../../../../src/model/route.ts";
import { OUTLIER } from "../cluster/health/outlier.ts";
import { cluster, DataPlane, endpoint, settings, snapshotOf, virtualHost } from "../data_plane.ts";
import { DEADLINE_TICK_MS } from "../../../../src/proxy/filters/deadline.ts";
import { accepted, forward, retries, routedPlane } from "../routed_plane.ts";
import { settle } from "../fake_wire.ts";
import { OK } from "../http1/upstream.ts";

const UNAVAILABLE = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

function planeWith(policy: Partial<RetryPolicy>, timeoutMs = 0, endpoints = 1) {
  const plane = routedPlane({
    action: forward({ retries: retries(policy), ...timeoutMs === 0 ? {} : { timeoutMs } }),
  }, endpoints);
  return { plane, client: plane.caller(), backOff: () => plane.clock.advance(500) };
}

describe("answers that are retried", () => {
  test("nobody hears of an answer that another attempt follows", async () => {
    const { plane, client, backOff } = planeWith({ retryOn: ["5xx"] }, 0, 2);
    client.get();
    const first = accepted(plane);
    first.say(UNAVAILABLE);
    expect(await client.read()).toBe("");
    backOff();
    expect(plane.network.last.address).not.toEqual(first.address);
    accepted(plane).say(OK);
    expect(await client.read()).toBe("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    expect(plane.counted()).toEqual(["200 - shop-2"]);
    expect(plane.active).toBe(0);
  });

  test("attempts after the first say which they are, whatever the client says of itself", async () => {
    const { plane, client, backOff } = planeWith({ attempts: 2, retryOn: ["5xx"] });
    client.get("/", "X-Envoy-Attempt-Count: 7");
    const said: (string | null)[] = [];
    for (const answer of [UNAVAILABLE, UNAVAILABLE, OK]) {
      const upstream = accepted(plane);
      const request = await upstream.read();
      said.push(request.match(/x-envoy-attempt-count: .*/g)?.join() ?? null);
      upstream.say(answer);
      await client.read();
      backOff();
    }
    expect(said).toEqual([null, "x-envoy-attempt-count: 2", "x-envoy-attempt-count: 3"]);
  });

  test("the last answer goes to the client, as the upstream gave it, with URX", async () => {
    const { plane, client, backOff } = planeWith({ attempts: 1, retryOn: [], retriableStatusCodes: [503] });
    client.get();
    accepted(plane).say(UNAVAILABLE);
    backOff();
    accepted(plane).say(UNAVAILABLE);
    expect(await client.read()).toBe(
      "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy",
    );
    expect(plane.network.attempts).toHaveLength(2);
    expect(plane.counted()).toEqual(["503 URX shop-1"]);
  });

  test("attempts 0 are no retries, not even of what was lost on a kept connection", async () => {
    const { plane, client } = planeWith({ attempts: 0, retryOn: ["5xx"] });
    client.get();
    const connection = accepted(plane);
    connection.say(OK);
    await client.read();
    client.get();
    await settle();
    connection.close();
    plane.clock.advance(500);
    expect(await client.read()).toStartWith("HTTP/1.1 503 ");
    expect(plane.network.attempts).toHaveLength(1);
    expect(plane.counted()).toEqual(["200 - shop-1", "503 UC shop-1"]);
  });

  test("a POST is sent again, its body and trailers whole", async () => {
    const { plane, client, backOff } = planeWith({ retryOn: ["5xx"] });
    client.send(
      "POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n",
    );
    const first = accepted(plane);
    const body = "5\r\nhello\r\n0\r\nx: y\r\n\r\n";
    expect(await first.read()).toEndWith(body);
    first.say(UNAVAILABLE);
    backOff();
    const second = accepted(plane);
    expect(await second.read()).toEndWith(body);
    second.say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 ");
    expect(plane.exchanges.replay.bytes).toBe(0);
  });

  test.each([[DEFAULT_LIMITS.replayBytes, 2], [DEFAULT_LIMITS.replayBytes + 1, 1]])(
    "a body of %d bytes is sent %d times",
    async (length, times) => {
      const { plane, client, backOff } = planeWith({ attempts: 1, retryOn: ["5xx"] });
      client.send(`POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: ${length}\r\n\r\n${"x".repeat(length)}`);
      accepted(plane).say(UNAVAILABLE);
      backOff();
      expect(plane.network.attempts).toHaveLength(times);
      expect((await client.read()).startsWith("HTTP/1.1 503 ")).toBe(times === 1);
    },
  );

  test("no attempt follows once the client has the head", async () => {
    const { plane, client, backOff } = planeWith({ retryOn: ["reset", "5xx"] });
    client.get();
    const upstream = accepted(plane);
    upstream.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal");
    await settle();
    upstream.close("reset");
    backOff();
    expect(await client.read()).toEndWith("\r\n\r\nhal");
    expect(client.wire.terminated).toBe(true);
    expect(plane.network.attempts).toHaveLength(1);
  });

  test("a reset is retried where the policy says so, whatever the method", async () => {
    for (const [retryOn, times] of [["reset", 2], ["connect-failure", 1]] as const) {
      const { plane, client, backOff } = planeWith({ attempts: 1, retryOn: [retryOn] });
      client.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 1\r\n\r\nx");
      accepted(plane).close("reset");
      backOff();
      expect(plane.network.attempts).toHaveLength(times);
    }
  });

  test("a gRPC status in the head is retried by default: unavailable, not internal", async () => {
    for (const [status, times] of [["14", 2], ["1", 2], ["13", 1]] as const) {
      const plane = routedPlane({});
      const client = plane.caller();
      client.get("/", "Content-Type: application/grpc");
      accepted(plane).say(
        `HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: ${status}\r\nContent-Length: 0\r\n\r\n`,
      );
      plane.clock.advance(500);
      expect(plane.network.attempts).toHaveLength(times);
    }
  });

  test("retryIgnorePreviousHosts false leaves the choice to the balancer", async () => {
    for (const [avoidPreviousHosts, same] of [[true, false], [false, true]] as const) {
      const { plane, client, backOff } = planeWith({ retryOn: ["5xx"], avoidPreviousHosts }, 0, 2);
      // Round robin: the next in turn is the one that failed when another request came between.
      client.get();
      const first = accepted(plane);
      const between = plane.caller();
      between.get();
      first.say(UNAVAILABLE);
      backOff();
      expect(plane.network.last.address.hostname === first.address.hostname).toBe(same);
    }
  });
});

describe("timeout", () => {
  test("covers all attempts: 504 UT, and the upstream is let go", async () => {
    const { plane, client, backOff } = planeWith({ retryOn: ["5xx"] }, 1_000);
    client.get();
    accepted(plane).say(UNAVAILABLE);
    backOff();
    const second = accepted(plane);
    plane.clock.advance(499);
    expect(await client.read()).toBe("");
    plane.clock.advance(100);
    const answer = await client.read();
    expect(answer).toStartWith("HTTP/1.1 504 Gateway Timeout\r\n");
    expect(answer).toContain("x-bowline-reply: UT response_timeout; ");
    expect(answer).toEndWith("\r\n\r\nupstream request timeout");
    expect(second.wire.terminated).toBe(true);
    expect(plane.counted()).toEqual(["504 UT shop-1"]);
    expect([plane.active, plane.exchanges.deadlines.size]).toEqual([0, 0]);
  });

  test("ends a back-off, and a wait for a connection", async () => {
    for (const failed of [true, false]) {
      const { plane, client } = planeWith({
        retryOn: ["connect-failure"],
        backoffBaseMs: 60_000,
        backoffMaxMs: 60_000,
      }, 100);
      client.get();
      if (failed) plane.network.last.refuse();
      plane.clock.advance(200);
      expect(await client.read()).toStartWith("HTTP/1.1 504 ");
      expect(plane.network.attempts).toHaveLength(1);
      expect(plane.active).toBe(0);
    }
  });

  test("begins with the end of the request", async () => {
    const { plane, client } = planeWith({}, 100);
    client.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nx");
    const upstream = accepted(plane);
    plane.clock.advance(5_000);
    expect(await client.read()).toBe("");
    client.send("y");
    plane.clock.advance(200);
    expect(await client.read()).toStartWith("HTTP/1.1 504 ");
    expect(upstream.wire.terminated).toBe(true);
  });

  test("breaks off an answer that has begun", async () => {
    const { plane, client } = planeWith({}, 100);
    client.get();
    accepted(plane).say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal");
    await settle();
    plane.clock.advance(200);
    expect(await client.read()).toEndWith("hal");
    expect(client.wire.terminated).toBe(true);
    expect(plane.counted()).toEqual(["200 UT shop-1"]);
  });

  test("is let go of with the answer", async () => {
    const { plane, client } = planeWith({ perTryTimeoutMs: 50 }, 100);
    client.get();
    const upstream = accepted(plane);
    expect(plane.exchanges.deadlines.size).toBe(2);
    upstream.say(OK);
    expect(plane.exchanges.deadlines.size).toBe(0);
    plane.clock.advance(1_000);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(plane.counted()).toEqual(["200 - shop-1"]);
  });

  test("of a gRPC client holds without one of the route", async () => {
    const plane = routedPlane({});
    const client = plane.caller();
    client.get("/", "Content-Type: application/grpc", "Grpc-Timeout: 100m");
    accepted(plane);
    plane.clock.advance(200);
    expect(await client.read()).toContain("grpc-status: 14\r\n");
    expect(plane.counted()).toEqual(["200 UT shop-1"]);
  });

  test("cannot be set by a header of the client's", async () => {
    const plane = routedPlane({});
    const client = plane.caller();
    client.get("/", "X-Envoy-Upstream-Rq-Timeout-Ms: 1", "X-Envoy-Max-Retries: 9");
    expect(await accepted(plane).read()).not.toContain("x-envoy");
    plane.clock.advance(1_000);
    expect(await client.read()).toBe("");
  });
});

describe("perTryTimeout", () => {
  test("ends an attempt, and another one follows where resets are retried", async () => {
    const { plane, client, backOff } = planeWith({ attempts: 1, retryOn: ["5xx"], perTryTimeoutMs: 100 });
    client.get();
    const first = accepted(plane);
    plane.clock.advance(200);
    expect(first.wire.terminated).toBe(true);
    backOff();
    accepted(plane);
    plane.clock.advance(200);
    expect(await client.read()).toContain("x-bowline-reply: UT,URX upstream_per_try_timeout; ");
    expect(plane.counted()).toEqual(["504 UT,URX shop-1"]);
    expect(plane.network.attempts).toHaveLength(2);
  });

  test("without such a condition ends the request: 504 UT", async () => {
    const { plane, client } = planeWith({ retryOn: ["connect-failure"], perTryTimeoutMs: 100 });
    client.get();
    accepted(plane);
    plane.clock.advance(200);
    expect(await client.read()).toStartWith("HTTP/1.1 504 ");
    expect(plane.counted()).toEqual(["504 UT shop-1"]);
  });

  test("leaves an answer alone that has begun", async () => {
    const { plane, client } = planeWith({ retryOn: ["5xx"], perTryTimeoutMs: 100 });
    client.get();
    const upstream = accepted(plane);
    upstream.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl");
    plane.clock.advance(1_000);
    upstream.say("ow");
    expect(await client.read()).toEndWith("\r\n\r\nslow");
  });

  test("of an attempt that ended does not end the next one", async () => {
    const { plane, client } = planeWith({ retryOn: ["5xx"], perTryTimeoutMs: 300, backoffBaseMs: 1 });
    client.get();
    const first = accepted(plane);
    plane.clock.advance(250);
    first.say(UNAVAILABLE);
    plane.clock.advance(20);
    const second = accepted(plane);
    plane.clock.advance(250);
    second.say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 ");
    expect(plane.network.attempts).toHaveLength(2);
  });
});

test.each([
  [true, ["eu", "eu", "us"]],
  [false, ["eu", "eu", "eu"]],
])("retryRemoteLocalities %p: attempts go to %j", async (remoteLocalities, places) => {
  const policy = retries({ retryOn: ["5xx"], remoteLocalities, avoidPreviousHosts: false });
  const route = { name: null, origin: null, matches: [], action: forward({ retries: policy }) };
  const plane = new DataPlane(snapshotOf(
    settings({ locality: "eu" }),
    virtualHost({ routes: [route] }),
    cluster({ locality: { distribute: [], failover: [], failoverPriority: [] }, outlier: OUTLIER }),
    {
      kind: "endpoints",
      name: cluster().name,
      endpoints: ["eu", "eu", "us"].map((locality, i) => ({ ...endpoint(i + 1), locality })),
    },
  ));
  plane.caller().get();
  for (let i = 0; i < 2; i++) {
    accepted(plane).say(UNAVAILABLE);
    plane.clock.advance(500);
  }
  const asked = plane.network.attempts.map(({ address }) => address.hostname === "192.0.2.3" ? "us" : "eu");
  expect(asked as string[]).toEqual(places);
});

test.each([
  ["before an answer has begun", "", true],
  ["in the middle of an answer", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhal", false],
])("a request that runs out of time %s counts against its endpoint: %p", (_when, said, isEjected) => {
  const route = { name: null, origin: null, matches: [], action: forward({ timeoutMs: 1_000 }) };
  const plane = new DataPlane(snapshotOf(
    settings(),
    virtualHost({ routes: [route] }),
    cluster({ outlier: { ...OUTLIER, consecutive5xx: 1 } }),
    { kind: "endpoints", name: cluster().name, endpoints: [endpoint(1)] },
  ));
  plane.caller().get();
  accepted(plane).say(said);
  plane.clock.advance(1_000 + 4 * DEADLINE_TICK_MS);
  expect(plane.active).toBe(0);
  expect(plane.compiled.clusters.get(cluster().name)?.pick() === null).toBe(isEjected);
});

test("no more retries go on at once than maxRetries says: a request beyond that has the answer that it got", async () => {
  const policy = retries({ retryOn: ["5xx"], attempts: 3 });
  const route = { name: null, origin: null, matches: [], action: forward({ retries: policy }) };
  const plane = new DataPlane(snapshotOf(
    settings(),
    virtualHost({ routes: [route] }),
    cluster({ limits: { maxRetries: 1 } }),
    { kind: "endpoints", name: cluster().name, endpoints: [endpoint(1)] },
  ));
  /** A client whose first attempt is answered 503. */
  const refused = () => {
    const client = plane.caller();
    client.get();
    accepted(plane).say(UNAVAILABLE);
    return client;
  };
  const [first, second] = [refused(), refused()];
  expect([await first.read(), await second.read()]).toEqual(["", expect.stringMatching(/^HTTP\/1\.1 503 /)]);
  expect(plane.counted()).toEqual(["503 UO shop-1"]);
  // Once the retry has its answer, the next request may have one.
  plane.clock.advance(500);
  await plane.network.last.read();
  plane.network.last.say(OK);
  expect(await first.read()).toStartWith("HTTP/1.1 200 OK\r\n");
  const third = plane.caller();
  third.get();
  plane.network.last.say(UNAVAILABLE);
  expect(await third.read()).toBe("");
});
