/** What a new snapshot takes over, and how clusters show in requests: ejection, limits, cookies. */
import { describe, expect, test } from "bun:test";
import type { Cluster, ClusterLimits, Endpoint } from "../../../src/model/cluster.ts";
import type { ProxySettings } from "../../../src/model/snapshot.ts";
import type { CompiledCluster } from "../../../src/proxy/cluster/cluster.ts";
import { OUTLIER } from "./cluster/health/outlier.ts";
import { cluster, DataPlane, endpoint, settings, snapshotOf, virtualHost } from "./data_plane.ts";
import { OK } from "./http1/upstream.ts";

function snapshot(more: Partial<Cluster>, endpoints: readonly Endpoint[], own: Partial<ProxySettings> = {}) {
  const set = { kind: "endpoints", name: cluster().name, endpoints } as const;
  return snapshotOf(settings(own), virtualHost(), cluster(more), set);
}

const shop = (plane: DataPlane) => plane.compiled.clusters.get(cluster().name) as CompiledCluster;
const FAILURE = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n";

/** The upstream answers like this on a connection of its own. */
async function call(plane: DataPlane, answer: string | null): Promise<string> {
  const before = plane.network.attempts.length;
  const client = plane.caller();
  client.get();
  if (answer === null) return await client.read();
  if (plane.network.attempts.length > before) plane.network.last.accept();
  plane.network.last.say(answer);
  return await client.read();
}

describe("compileSnapshot", () => {
  const two = [endpoint(1), endpoint(2)];

  test("compileSnapshot() takes a cluster over whole when nothing of it changed", () => {
    const plane = new DataPlane(snapshot({ outlier: OUTLIER }, two));
    const before = shop(plane);
    plane.apply(snapshot({ outlier: OUTLIER }, two));
    expect(shop(plane)).toBe(before);
    expect([...plane.compiled.hosts]).toContain(before.endpoints[0]!.host);
  });

  test.each<[string, Partial<ProxySettings>]>([
    ["policies", { policies: [] }],
    ["rules about tokens", { jwtRules: [] }],
    ["ports", { inbound: [] }],
    ["a mode of mutual TLS", { mtls: { mode: "strict", exceptPorts: [] } }],
  ])("compileSnapshot() takes a cluster over whole when the proxy's own %s come or go", (_what, own) => {
    const plane = new DataPlane(snapshot({}, two));
    const before = shop(plane);
    for (const more of [own, {}]) {
      plane.apply(snapshot({}, two, more));
      expect(shop(plane)).toBe(before);
    }
  });

  test.each([
    ["its settings", () => snapshot({ balancer: "RANDOM" }, two)],
    ["its endpoints", () => snapshot({}, [endpoint(1)])],
    ["the proxy's place", () => snapshot({}, two, { locality: "eu/a/1" })],
  ])("compileSnapshot() makes a cluster anew when this changed: %s", (_what, next) => {
    const plane = new DataPlane(snapshot({}, two));
    const before = shop(plane);
    plane.apply(next());
    expect(shop(plane)).not.toBe(before);
    expect(shop(plane).endpoints[0]?.host).toBe(before.endpoints[0]!.host);
  });

  test("compileSnapshot() that throws leaves the cluster that serves as it was", () => {
    const plane = new DataPlane(snapshot({ outlier: OUTLIER, limits: { maxRequests: 1 } }, two));
    const before = shop(plane);
    const bad = snapshot({
      balancer: "MAGLEV",
      hash: { keys: [], tableSize: 4 },
      outlier: OUTLIER,
      limits: {},
    }, two);
    expect(() => plane.apply(bad)).toThrow("A Maglev table has a prime number of slots");
    expect(shop(plane)).toBe(before);
    const [one] = before.endpoints;
    for (let i = 0; i < 5; i++) one?.report(500, null);
    expect(before.outlier?.ejected).toBe(1);
    before.limits!.requests = 2;
    expect(before.limits?.requestsExceeded).toBe(true);
  });

  test("compileSnapshot() keeps what is in use of limits that change", () => {
    const plane = new DataPlane(snapshot({ limits: { maxRequests: 1 } }, two));
    const { limits, endpoints } = shop(plane);
    endpoints[0]!.host.active++;
    plane.apply(snapshot({ limits: { maxRequests: 7 } }, two));
    expect(shop(plane).limits).toBe(limits);
    expect(shop(plane).endpoints[0]?.host).toBe(endpoints[0]!.host);
    expect(limits?.requests).toBe(1);
    plane.apply(snapshot({}, two));
    expect(shop(plane).limits).toBeNull();
    expect(shop(plane).endpoints[0]?.host).not.toBe(endpoints[0]!.host);
  });

  test.each<[string, ClusterLimits]>([
    ["idleTimeout", { idleTimeoutMs: 5 }],
    ["maxConnectionDuration", { maxConnectionDurationMs: 5 }],
    ["maxConcurrentStreams", { maxConcurrentStreams: 5 }],
    ["tcpKeepalive", { tcpKeepalive: { probes: 5 } }],
    ["http2KeepAlive", { http2KeepAlive: { intervalMs: 5 } }],
  ])("compileSnapshot() gives a cluster new connections where this is said otherwise: %s", (_what, said) => {
    const plane = new DataPlane(snapshot({ limits: { maxRequests: 1 } }, two));
    const { limits, endpoints } = shop(plane);
    for (const again of [said, { ...said, maxRequests: 7 }]) {
      plane.apply(snapshot({ limits: again }, two));
      expect(shop(plane).endpoints[0]?.host).not.toBe(endpoints[0]!.host);
      expect(shop(plane).limits).toBe(limits);
    }
    const [{ host } = endpoints[0]!] = shop(plane).endpoints;
    plane.apply(snapshot({ limits: said }, two));
    expect(shop(plane).endpoints[0]?.host).toBe(host);
  });

  test("compileSnapshot() lets the old connections of a cluster go with their last request", async () => {
    const plane = new DataPlane(snapshot({ limits: { maxConcurrentStreams: 1 } }, [endpoint(1)]));
    expect(await call(plane, OK)).toStartWith("HTTP/1.1 200");
    const idle = plane.network.last.wire;
    plane.apply(snapshot({ limits: { maxConcurrentStreams: 2 } }, [endpoint(1)]));
    expect(idle.closed).toBe(true);
    expect(await call(plane, OK)).toStartWith("HTTP/1.1 200");
    expect(plane.network.attempts.length).toBe(2);
  });

  test("compileSnapshot() lets go of the timers of a cluster that goes", () => {
    const plane = new DataPlane(snapshot({ outlier: OUTLIER }, two));
    for (let i = 0; i < 5; i++) shop(plane).endpoints[0]?.report(500, null);
    expect(plane.wheel.size).toBe(1);
    plane.apply(snapshotOf(settings()));
    expect(plane.wheel.size).toBe(0);
  });
});

describe("requests to a cluster", () => {
  test("five failures of the only endpoint, and the sixth request is answered 503 UH", async () => {
    const plane = new DataPlane(snapshot({ outlier: OUTLIER }, [endpoint(1)]));
    for (let i = 0; i < 5; i++) expect(await call(plane, FAILURE)).toStartWith("HTTP/1.1 500");
    const answer = await call(plane, null);
    expect(answer).toStartWith("HTTP/1.1 503");
    expect(answer).toContain("UH no_healthy_upstream");
    plane.clock.advance(45_000);
    expect(await call(plane, OK)).toStartWith("HTTP/1.1 200");
  });

  test("connections that are refused are failures too, and the retry goes elsewhere", async () => {
    const plane = new DataPlane(snapshot({ outlier: OUTLIER }, [endpoint(1), endpoint(2)]));
    const client = plane.caller();
    client.get();
    const first = plane.network.last.address.hostname;
    plane.network.last.refuse();
    plane.clock.advance(100);
    expect(plane.network.last.address.hostname).not.toBe(first);
    plane.network.last.accept().say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200");
    const failed = shop(plane).endpoints.find((one) => one.endpoint.address === first);
    expect(failed?.health?.errors5xx).toBe(1);
  });

  test.each([
    ["in the head", "grpc-status: 13\r\ncontent-length: 0\r\n\r\n"],
    ["in the trailers", "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 14\r\n\r\n"],
    ["nowhere", "content-length: 2\r\n\r\nok"],
  ])("gRPC calls that fail count as failures, with their status %s", async (_where, rest) => {
    const plane = new DataPlane(snapshot({ outlier: OUTLIER }, [endpoint(1)]));
    for (let i = 0; i < 5; i++) {
      expect(shop(plane).outlier?.ejected).toBe(0);
      const client = plane.caller();
      client.get("/shop.Cart/Get", "Content-Type: application/grpc");
      if (i === 0) plane.network.last.accept();
      plane.network.last.say(`HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n${rest}`);
      await client.read();
    }
    expect(shop(plane).outlier?.ejected).toBe(1);
  });

  test("gRPC calls that are answered count as answered, whatever the caller thinks of the answer", async () => {
    const plane = new DataPlane(snapshot({ outlier: OUTLIER }, [endpoint(1)]));
    for (let i = 0; i < 20; i++) {
      const client = plane.caller();
      client.get("/shop.Cart/Get", "Content-Type: application/grpc");
      if (i === 0) plane.network.last.accept();
      const status = i % 4 === 3 ? 5 : 13;
      plane.network.last.say(`HTTP/1.1 200 OK\r\ngrpc-status: ${status}\r\ncontent-length: 0\r\n\r\n`);
      await client.read();
    }
    expect(shop(plane).outlier?.counters.ejections).toBe(0);
  });

  test("one request too many is answered 503 UO, and says that the cluster is overloaded", async () => {
    const plane = new DataPlane(snapshot({ limits: { maxPendingRequests: 1 } }, [endpoint(1)]));
    plane.caller().get();
    const answer = await call(plane, null);
    expect(answer).toStartWith("HTTP/1.1 503");
    expect(answer).toContain("x-envoy-overloaded: true\r\n");
    expect(plane.counted()).toEqual(["503 UO shop-1"]);
    expect(plane.active).toBe(1);
  });

  test("one retry too many is not made, and those that were end", async () => {
    const plane = new DataPlane(snapshot({ limits: { maxRetries: 1 } }, [endpoint(1), endpoint(2)]));
    const [one, other] = [plane.caller(), plane.caller()];
    one.get();
    other.get();
    const [first, second] = plane.network.attempts;
    first?.refuse();
    second?.refuse();
    expect(await other.read()).toStartWith("HTTP/1.1 503");
    expect(shop(plane).limits?.retries).toBe(1);
    plane.clock.advance(100);
    plane.network.last.accept().say(OK);
    expect(await one.read()).toStartWith("HTTP/1.1 200");
    expect(shop(plane).limits?.retries).toBe(0);
    const gone = plane.caller();
    gone.get();
    plane.network.last.refuse();
    expect(shop(plane).limits?.retries).toBe(1);
    gone.close();
    expect([shop(plane).limits?.retries, shop(plane).limits?.requests]).toEqual([0, 0]);
  });

  test("a client without the cookie gets one, and comes back to the same endpoint with it", async () => {
    const all = [1, 2, 3, 4, 5].map((n) => endpoint(n));
    const key = { type: "cookie", name: "user", path: "/", ttlMs: 0, attributes: [] } as const;
    const plane = new DataPlane(snapshot({ balancer: "RING_HASH", hash: { keys: [key] } }, all));
    for (let i = 0; i < 10; i++) {
      const answer = await call(plane, OK);
      const cookie = /set-cookie: (user="[0-9a-f]{16}"); Path=\/; HttpOnly\r\n/i.exec(answer)?.[1] as string;
      const { hostname } = plane.network.last.address;
      plane.network.last.close();
      const client = plane.caller();
      client.get("/", `Cookie: ${cookie}`);
      expect(plane.network.last.address.hostname).toBe(hostname);
      plane.network.last.accept().say(OK);
      expect(await client.read()).not.toContain("ookie");
      plane.network.last.close();
    }
  });
});
