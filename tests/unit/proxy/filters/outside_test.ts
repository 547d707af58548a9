/** Calls that leave the mesh: by names that DNS knows, by wildcards, with TLS, and under REGISTRY_ONLY. */
import { describe, expect, test } from "bun:test";
import type { Cluster, Endpoint } from "../../../../src/model/cluster.ts";
import type { UpstreamTls } from "../../../../src/model/upstream_tls.ts";
import { cluster, DataPlane, endpoint, settings, snapshotOf, virtualHost } from "../data_plane.ts";
import { settle } from "../fake_wire.ts";
import { OK } from "../http1/upstream.ts";

const TLS: UpstreamTls = {
  sni: null,
  certificate: null,
  rootsFile: null,
  names: [],
  insecure: false,
};

function named(name: string): Endpoint {
  return { ...endpoint(1), address: name };
}

function planeOf(more: Partial<Cluster>, endpoints: Endpoint[], domains = ["shop", "shop:80"]): DataPlane {
  return new DataPlane(snapshotOf(
    settings({ outboundPolicy: "REGISTRY_ONLY" }),
    virtualHost({ domains }),
    cluster(more),
    { kind: "endpoints", name: cluster().name, endpoints },
  ));
}

/** `ADDRESS:PORT` of where each of some requests is sent. */
function sent(plane: DataPlane, count: number): string[] {
  const before = plane.network.attempts.length;
  for (let i = 0; i < count; i++) plane.caller().get();
  return plane.network.attempts.slice(before).map(({ address }) => `${address.hostname}:${address.port}`)
    .sort();
}

describe("endpoints that are names", () => {
  test("STRICT_DNS: every address is an endpoint, whatever their order in the answer", () => {
    const plane = planeOf({}, [named("db.test"), endpoint(9)]);
    plane.move("db.test", "10.0.0.2", "10.0.0.1");
    const all = ["10.0.0.1:8080", "10.0.0.2:8080", "192.0.2.9:8080"];
    expect(sent(plane, 3)).toEqual(all);
    const before = plane.compiled.clusters.get(cluster().name)?.endpoints;
    plane.move("db.test", "10.0.0.1", "10.0.0.2");
    expect(plane.compiled.clusters.get(cluster().name)?.endpoints).toBe(before);
  });

  test("an address that is gone gets no more requests, and its connection closes", async () => {
    const plane = planeOf({}, [named("db.test")]);
    plane.move("db.test", "10.0.0.1");
    const client = plane.caller();
    client.get();
    plane.network.last.accept().say(OK);
    expect(await client.read()).toContain("200 OK");
    plane.move("db.test", "10.0.0.2");
    expect(plane.network.last.wire.closed).toBe(true);
    expect(sent(plane, 2)).toEqual(["10.0.0.2:8080", "10.0.0.2:8080"]);
  });

  test("LOGICAL_DNS: the first address of the answer is the one endpoint", () => {
    const plane = planeOf({ resolution: "LOGICAL_DNS" }, [named("db.test")]);
    plane.move("db.test", "10.0.0.2", "10.0.0.1");
    expect(new Set(sent(plane, 3))).toEqual(new Set(["10.0.0.2:8080"]));
    plane.move("db.test", "10.0.0.1", "10.0.0.2");
    expect(new Set(sent(plane, 3))).toEqual(new Set(["10.0.0.1:8080"]));
  });

  test("ON_DEMAND: whoever connects looks it up", () => {
    expect(sent(planeOf({ resolution: "ON_DEMAND" }, [named("db.test")]), 1)).toEqual(["db.test:8080"]);
  });

  test("a name without an answer is a failure of DNS; a cluster without endpoints is not", async () => {
    const plane = planeOf({}, [named("db.test")]);
    const client = plane.caller();
    client.get();
    const answer = await client.read();
    expect(answer).toContain("HTTP/1.1 503");
    expect(answer).toContain("DF dns_resolution_failure");
    plane.move("db.test", "10.0.0.1");
    expect(sent(plane, 1)).toEqual(["10.0.0.1:8080"]);
    const empty = planeOf({}, []);
    empty.caller().get();
    expect([plane.counted(), empty.counted()]).toEqual([["503 DF unknown"], ["503 UH unknown"]]);
  });

  test("a name of which DNS has yet to be heard is waited for", async () => {
    const plane = planeOf({}, [named("db.test")]);
    const first = Promise.withResolvers<void>();
    plane.firstAnswer = first.promise;
    const waiting = plane.caller();
    waiting.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nhi");
    const gone = plane.caller();
    gone.get();
    expect(await waiting.read()).toBe("");
    gone.close();
    plane.move("db.test", "10.0.0.1");
    plane.firstAnswer = null;
    first.resolve();
    await settle();
    expect(plane.network.attempts).toHaveLength(1);
    expect(plane.network.last.address).toMatchObject({ hostname: "10.0.0.1" });
    expect(await plane.network.last.accept().read()).toEndWith("hi");
    expect(plane.counted()).toEqual(["0 DC unknown"]);
  });

  test("one of which nothing is heard is waited for no longer than its time", async () => {
    const plane = planeOf({}, [named("db.test")]);
    const first = Promise.withResolvers<void>();
    plane.firstAnswer = first.promise;
    const client = plane.caller();
    client.get();
    expect(await client.read()).toBe("");
    plane.firstAnswer = null;
    first.resolve();
    expect(await client.read()).toContain("DF dns_resolution_failure");
  });

  test("who is ejected stays so when DNS brings others", () => {
    const outlier = {
      ...{ consecutive5xx: 1, consecutiveGatewayErrors: 0, intervalMs: 10_000, baseEjectionMs: 30_000 },
      ...{ maxEjectionPercent: 100, minHealthPercent: 0, splitLocalOrigin: false },
      ...{ consecutiveLocalOriginFailures: 5, httpErrorCodes: [] },
    };
    const plane = planeOf({ outlier }, [named("db.test")]);
    plane.move("db.test", "10.0.0.1", "10.0.0.2");
    plane.caller().get();
    const ejected = plane.network.last.accept();
    ejected.say("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
    plane.move("db.test", "10.0.0.1", "10.0.0.2", "10.0.0.3");
    expect(new Set(sent(plane, 6)).has(`${ejected.address.hostname}:8080`)).toBe(false);
  });
});

describe("a wildcard", () => {
  const domains = ["*.example.com", "*.example.com:80"];
  const get = (plane: DataPlane, authority: string) => {
    const client = plane.caller();
    client.send(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    return client;
  };
  const open = (more: Partial<Cluster> = {}) =>
    planeOf({ resolution: "AUTHORITY", ...more }, [{ ...named("*.example.com"), port: 8443 }], domains);

  test("leads to the host that the request names, at the endpoint's port", () => {
    const plane = open();
    get(plane, "a.example.com");
    get(plane, "b.example.com:80");
    expect(plane.network.attempts.map(({ address: { hostname, port } }) => `${hostname}:${port}`)).toEqual([
      "a.example.com:8443",
      "b.example.com:8443",
    ]);
  });

  test("is what REGISTRY_ONLY lets through, and no other host", async () => {
    const plane = open();
    expect(await get(plane, "example.org").read()).toContain("HTTP/1.1 502");
    expect(plane.network.attempts).toEqual([]);
  });

  test("leads to no host outside of it, whatever rule sends a request there", async () => {
    const plane = planeOf({ resolution: "AUTHORITY" }, [named("*.example.com")], ["*"]);
    for (const authority of ["169.254.169.254", "example.com", "a.example.com.evil.test"]) {
      expect(await get(plane, authority).read()).toContain("HTTP/1.1 503");
    }
    expect(plane.network.attempts).toEqual([]);
    get(plane, "a.example.com");
    expect(plane.network.attempts).toHaveLength(1);
  });

  test("TLS asks for the request's host", () => {
    const plane = open({ tls: TLS });
    get(plane, "a.example.com");
    expect(plane.network.last.tls).toMatchObject({ serverName: "a.example.com", oldest: "1.2" });
    const other = open({ tls: { ...TLS, sni: "x.test" } });
    get(other, "a.example.com");
    expect(other.network.last.tls).toMatchObject({ serverName: "x.test" });
  });

  test("does not lead back to the proxy itself", async () => {
    const plane = planeOf({ resolution: "AUTHORITY" }, [{ ...named("*"), port: 15_001 }], ["127.0.0.1"]);
    expect(await get(plane, "127.0.0.1").read()).toContain("HTTP/1.1 503");
  });
});

describe("TLS to endpoints", () => {
  test("those behind a mesh listener are still called over the mesh, with the proxy's own certificate", () => {
    const plane = planeOf({ tls: { ...TLS, sni: "shop.test" } }, [endpoint(1, true)]);
    plane.caller().get();
    expect(plane.network.last.tls).toMatchObject({ chain: "chain", roots: "roots" });
    const straight = planeOf({ tls: { ...TLS, sni: "shop.test" } }, [endpoint(1)]);
    straight.caller().get();
    expect(straight.network.last.tls).toMatchObject({ chain: "", serverName: "shop.test" });
    expect(straight.network.last.tls?.alpn).toEqual(["http/1.1"]);
  });

  test("a CONNECT through the cluster carries its bytes in TLS, without a protocol", () => {
    const plane = planeOf({ tls: { ...TLS, sni: "shop.test" } }, [endpoint(1)]);
    plane.caller().send("CONNECT shop:80 HTTP/1.1\r\nHost: shop\r\n\r\n");
    expect(plane.network.last.tls).toMatchObject({ serverName: "shop.test" });
    expect(plane.network.last.tls).not.toHaveProperty("alpn");
  });
});
