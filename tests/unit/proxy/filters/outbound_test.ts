/** Where the own workload's calls go, and what they carry. */
import { describe, expect, test } from "bun:test";
import { NO_CONDITIONS, type Route, type RouteMatch } from "../../../../src/model/route.ts";
import type { Listener } from "../../../../src/model/snapshot.ts";
import { TestAuthority } from "../../identity/odd_certificates.ts";
import {
  cluster,
  DataPlane,
  endpoint,
  IN_FLIGHT_MAX,
  listener,
  settings,
  SHOP_ID,
  shopSnapshot,
  snapshotOf,
  virtualHost,
} from "../data_plane.ts";
import { OTHER_NAME } from "../fake_network.ts";
import { settle } from "../fake_wire.ts";
import { OK } from "../http1/upstream.ts";
import { MeshUpstream } from "../mesh_upstream.ts";

const authority = await TestAuthority.make();
const shop = await authority.issue({ names: [{ type: "url", value: SHOP_ID }] });

async function answerTo(plane: DataPlane, text: string): Promise<string> {
  const client = plane.caller();
  client.send(text);
  return await client.read();
}

/** The peer takes the latest connection and proves who it is. */
async function meet(plane: DataPlane): Promise<MeshUpstream> {
  const connection = plane.network.last.accept();
  const mesh = new MeshUpstream(connection, plane.wheel);
  connection.handshake(shop.der, OTHER_NAME);
  for (let i = 0; i < 3; i++) await settle();
  return mesh;
}

function ownFields(headers: readonly string[]): Record<string, string> {
  const own: Record<string, string> = {};
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]?.startsWith("x-bowline-")) own[headers[i] as string] = headers[i + 1] as string;
  }
  return own;
}

const CONNECT = "CONNECT shop:80 HTTP/1.1\r\nHost: shop\r\n\r\n";
const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

describe("OutboundAcceptor", () => {
  test("OutboundAcceptor sends to the endpoint itself in plain text, without our own fields", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    plane.caller().get("/x", "X-Bowline-Port: 22", "x-bowline-peer: admin", "x-bowline-anything: y", "X: y");
    expect(plane.network.last.address).toMatchObject({ hostname: "192.0.2.1", port: 8080, spiffeId: null });
    const request = await plane.network.last.accept().read();
    expect(request).toMatch(
      /^GET \/x HTTP\/1\.1\r\nhost: shop\r\nx: y\r\nx-request-id: [-0-9a-f]{36}\r\nx-forwarded-proto: http\r\ntraceparent: 00-\S+-00\r\n\r\n$/,
    );
  });

  test("OutboundAcceptor matches and sends the normal form of the path, and refuses what has none", async () => {
    const { action } = virtualHost().routes[0] as Route;
    const isAdmin: RouteMatch = { ...NO_CONDITIONS, path: { type: "exact", value: "/admin" } };
    const admin = { name: null, origin: null, matches: [isAdmin], action };
    const rest = { kind: "endpoints", name: cluster().name, endpoints: [endpoint(1)] } as const;
    const plane = new DataPlane(snapshotOf(settings(), virtualHost({ routes: [admin] }), cluster(), rest));
    plane.caller().get("//public/%2e%2e/%61dmin?x=../%2f");
    expect(await plane.network.last.accept().read()).toStartWith("GET /admin?x=../%2f HTTP/1.1\r\n");
    for (const path of ["/admin/x", "/admin;x"]) {
      const client = plane.caller();
      client.get(path);
      expect(await client.read()).toStartWith("HTTP/1.1 404 ");
    }
    for (const path of ["/public/..;/admin", "/public%2f..%2fadmin", "/%00admin", "/%zz"]) {
      const client = plane.caller();
      client.get(path);
      const answer = await client.read();
      expect(answer).toStartWith("HTTP/1.1 400 Bad Request\r\n");
      expect(answer).toContain("x-bowline-reply: - path_normalization_failed{");
    }
    expect(plane.network.attempts).toHaveLength(1);
  });

  test("OutboundAcceptor carries as many requests at once as it may, and answers 503 OM above", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const clients = Array.from({ length: IN_FLIGHT_MAX }, () => plane.caller());
    for (const client of clients) client.get();
    expect(plane.network.attempts).toHaveLength(IN_FLIGHT_MAX);
    const above = plane.caller();
    above.get();
    const answer = await above.read();
    expect(answer).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
    expect(answer).toContain("x-bowline-reply: OM overload; ");
    expect(answer).toContain("\r\nretry-after: 1\r\n");
    expect([plane.inFlight.count, plane.inFlight.refused]).toEqual([IN_FLIGHT_MAX, 1]);
    // One ends, and another one may begin.
    clients[0]?.close();
    expect(plane.inFlight.count).toBe(IN_FLIGHT_MAX - 1);
    above.get();
    expect([plane.inFlight.count, plane.inFlight.refused]).toEqual([IN_FLIGHT_MAX, 1]);
    for (const client of [...clients, above]) client.close();
    expect(plane.inFlight.count).toBe(0);
  });

  test("OutboundAcceptor sends to the mesh listener of an endpoint, and says port and caller there", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1, true)));
    plane.caller().get("/", "x-bowline-port: 22");
    expect(plane.network.last.address).toMatchObject({
      hostname: "192.0.2.1",
      port: 15008,
      spiffeId: SHOP_ID,
    });
    const mesh = await meet(plane);
    expect(ownFields(mesh.last.head.headers)).toEqual({
      "x-bowline-port": "8080",
      "x-bowline-peer": "caller;caller;v1",
    });
    expect(mesh.last.head).toMatchObject({ authority: "shop", path: "/", method: "GET" });
  });

  test.each(["GET / HTTP/1.1", "CONNECT 192.0.2.3:8080 HTTP/1.1"])(
    "OutboundAcceptor sends what asks for an endpoint's own address there, over the mesh: %s",
    async (line) => {
      const endpoints = [endpoint(2), endpoint(3, true), endpoint(4)];
      const set = { kind: "endpoints", name: cluster().name, endpoints } as const;
      const plane = new DataPlane(snapshotOf(settings(), virtualHost(), cluster(), listener(), set));
      plane.caller().send(`${line}\r\nHost: 192.0.2.3:8080\r\n\r\n`);
      expect(plane.network.last.address).toMatchObject({
        hostname: "192.0.2.3",
        port: 15008,
        spiffeId: SHOP_ID,
      });
      const mesh = await meet(plane);
      expect(mesh.last.head.authority).toBe("192.0.2.3:8080");
    },
  );

  test("OutboundAcceptor takes an endpoint without a sidecar for a stranger where its own address is asked for", async () => {
    const set = { kind: "endpoints", name: cluster().name, endpoints: [endpoint(3)] } as const;
    const strict = settings({ outboundPolicy: "REGISTRY_ONLY" });
    const plane = new DataPlane(snapshotOf(strict, virtualHost(), cluster(), listener(), set));
    expect(await answerTo(plane, get("192.0.2.3:8080"))).toStartWith("HTTP/1.1 502");
  });

  test("OutboundAcceptor says port and caller to mesh listeners alone, and once, however often it tries", async () => {
    const counts: number[] = [];
    for (const mesh of [1, 2]) {
      const plane = new DataPlane(shopSnapshot(endpoint(1, mesh === 1), endpoint(2, mesh === 2)));
      plane.caller().get();
      for (let refused = 0; refused < 2; refused++) {
        plane.network.last.refuse();
        plane.clock.advance(500);
      }
      if (plane.network.last.tls === null) {
        counts.push((await plane.network.last.accept().read()).match(/x-bowline-/g)?.length ?? 0);
      } else {
        const { headers } = (await meet(plane)).last.head;
        counts.push(headers.filter((text, at) => at % 2 === 0 && text.startsWith("x-bowline-")).length);
      }
    }
    expect(counts.sort()).toEqual([0, 2]);
  });

  test("OutboundAcceptor drops our own fields from a plain upstream's answer", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const client = plane.caller();
    client.get();
    plane.network.last.accept().say(
      "HTTP/1.1 103 X\r\nx-bowline-reply: x\r\n\r\n",
      "HTTP/1.1 200 OK\r\nx-bowline-reply: UH made up\r\nTransfer-Encoding: chunked\r\n\r\n",
      "0\r\nx-bowline-reply: x\r\ny: z\r\n\r\n",
    );
    const read = await client.read();
    expect(read).not.toContain("x-bowline");
    expect(read).toEndWith("0\r\ny: z\r\n\r\n");
  });

  test("OutboundAcceptor keeps what a proxy of the mesh says of its own reply", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1, true)));
    const client = plane.caller();
    client.get();
    const mesh = await meet(plane);
    mesh.last.answer("no", ["x-bowline-reply", "UF x; inbound shop/shop-1"]);
    for (let i = 0; i < 3; i++) await settle();
    expect(await client.read()).toContain("x-bowline-reply: UF x; inbound shop/shop-1\r\n");
    expect(plane.counted()).toEqual(["200 - shop-1"]);
  });

  test("OutboundAcceptor drops from trailers what only heads and proxies may say", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const head = "POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n";
    plane.caller().send(`${head}0\r\nX-Bowline-Peer: admin\r\nCookie: a\r\ny: z\r\n\r\n`);
    expect(await plane.network.last.accept().read()).toEndWith("0\r\ny: z\r\n\r\n");
  });

  test("OutboundAcceptor keeps the trace headers that a request has", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const trace = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
    plane.caller().get("/", "X-Request-Id: mine", `traceparent: ${trace}`);
    const request = await plane.network.last.accept().read();
    expect(request).toContain(`x-request-id: mine\r\ntraceparent: ${trace}\r\n`);
    expect(request.match(/traceparent|x-request-id/g)).toHaveLength(2);
  });

  test("OutboundAcceptor makes a new request id where Connection took the old one away", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    plane.caller().get("/", "X-Request-Id: mine", "Connection: x-request-id, host, content-length");
    const request = await plane.network.last.accept().read();
    expect(request).toMatch(/^GET \/ HTTP\/1\.1\r\nhost: shop\r\nx-request-id: [-0-9a-f]{36}\r\n/);
  });

  test("OutboundAcceptor routes by the target's authority, not by the Host beside it", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    plane.caller().send("GET http://SHOP./x HTTP/1.1\r\nHost: other\r\n\r\n");
    expect(await plane.network.last.accept().read()).toStartWith("GET /x HTTP/1.1\r\nhost: SHOP.\r\n");
  });
});

describe("local replies", () => {
  test.each([
    ["no route", { routes: [] }, get("shop"), "404 Not Found", "404 NR unknown"],
    ["a tunnel to no endpoint", {}, CONNECT, "503 Service Unavailable", "tcp UH unknown +1 -1 0/0"],
    ["no healthy upstream", {}, get("shop"), "503 Service Unavailable", "503 UH unknown"],
    [
      "a cluster that is not there",
      {
        routes: [{
          ...virtualHost().routes[0],
          action: { type: "forward", destinations: [{ cluster: "x", weight: 1 }] },
        }],
      },
      get("shop"),
      "503 Service Unavailable",
      "503 NC unknown",
    ],
    ["an own address", {}, get("127.0.0.1:15001"), "404 Not Found", "404 NR unknown"],
    ["a host without a name", {}, get(""), "400 Bad Request", "400 - unknown"],
    ["a port that is none", {}, get("other:99999"), "404 Not Found", "404 NR unknown"],
    ["port 0", {}, get("other:0"), "404 Not Found", "404 NR unknown"],
  ])("OutboundAcceptor answers to %s and counts it once", async (_what, change, text, status, counted) => {
    const resources = [settings(), virtualHost(change as object), cluster()] as const;
    const plane = new DataPlane(snapshotOf(...resources));
    expect(await answerTo(plane, text)).toStartWith(`HTTP/1.1 ${status}\r\n`);
    expect(plane.counted()).toEqual([counted]);
    expect(plane.network.attempts).toHaveLength(0);
  });

  test("OutboundAcceptor names the proxy that answered", async () => {
    const plane = new DataPlane(shopSnapshot());
    const answer = await answerTo(plane, get("shop"));
    expect(answer).toContain("\r\nx-bowline-reply: UH no_healthy_upstream; outbound shop/caller\r\n");
    expect(answer).toEndWith("\r\n\r\nno healthy upstream");
  });

  test("OutboundAcceptor counts what is no request", async () => {
    const plane = new DataPlane(shopSnapshot());
    await answerTo(plane, "nonsense\r\n\r\n");
    expect(plane.counted()).toEqual(["400 DPE unknown"]);
  });
});

describe("a CONNECT to a port of a service that carries bytes", () => {
  const to = (subset: string) => ({ cluster: `outbound|80|${subset}|shop.test`, weight: 1 });

  function plane(more: Partial<Listener>): DataPlane {
    const names = ["", "blue"].map((subset) => to(subset).cluster);
    return new DataPlane(snapshotOf(
      settings({ outboundPolicy: "REGISTRY_ONLY" }),
      listener(more),
      ...names.map((name) => cluster({ name })),
      ...names.map((name, index) => ({ kind: "endpoints" as const, name, endpoints: [endpoint(index)] })),
    ));
  }

  test.each(
    [
      ["shop.test:80", "tcp", "192.0.2.1"],
      ["SHOP.test.:080", "tcp", "192.0.2.1"],
      ["10.96.0.1:80", "tcp", "192.0.2.0"],
      ["shop.test:80", "tls", "192.0.2.1"],
    ] as const,
  )("OutboundAcceptor sends %s, %s, by the routes for bytes", async (asked, protocol, address) => {
    const condition = protocol === "tls"
      ? { serverNames: ["shop.test"], addresses: [] }
      : { serverNames: [], addresses: ["10.96.0.1/32"] };
    const first = {
      origin: null,
      matches: [condition],
      destinations: [to(protocol === "tls" ? "blue" : "")],
    };
    const rest = { origin: null, destinations: [to("blue")] };
    const one = plane({ protocol, routes: protocol === "tls" ? [first] : [first, rest] });
    const client = one.caller();
    client.send(`CONNECT ${asked} HTTP/1.1\r\nHost: x\r\n\r\nhello`);
    expect(one.network.last.address).toMatchObject({ hostname: address, port: 8080, protocol: "tcp" });
    expect(await one.network.last.accept().read()).toBe("hello");
    expect(await client.read()).toStartWith("HTTP/1.1 200");
  });

  test("OutboundAcceptor counts what an endpoint carries where the least loaded is looked for", () => {
    const one = plane({ protocol: "tcp", routes: [{ origin: null, destinations: [to("")] }] });
    const [member] = one.compiled.clusters.get(to("").cluster)!.endpoints;
    const clients = [one.caller(), one.caller()];
    for (const client of clients) client.send("CONNECT shop.test:80 HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(member?.active).toBe(2);
    for (const connection of one.network.attempts) connection.refuse();
    expect(member?.active).toBe(0);
  });

  test("OutboundAcceptor calls nobody whom no rule names where only declared hosts may be called", async () => {
    const matches = [{ serverNames: ["else.test"], addresses: [] }];
    const one = plane({ protocol: "tls", routes: [{ origin: null, matches, destinations: [to("")] }] });
    expect(await answerTo(one, "CONNECT shop.test:80 HTTP/1.1\r\nHost: x\r\n\r\n")).toStartWith(
      "HTTP/1.1 502",
    );
    expect(one.network.attempts).toHaveLength(0);
  });
});

describe("hosts that nobody declared", () => {
  test.each(["GET https://elsewhere/x", "GET HTTPS://elsewhere:443/x", "POST hTTpS://elsewhere/x"])(
    "OutboundAcceptor sends nothing in plain text that was asked for by https: %s",
    async (line) => {
      const plane = new DataPlane(shopSnapshot(endpoint(1)));
      const answer = await answerTo(plane, `${line} HTTP/1.1\r\nHost: elsewhere\r\n\r\n`);
      expect(answer).toStartWith("HTTP/1.1 400 Bad Request\r\n");
      expect(answer).toContain("\r\nx-bowline-reply: - https_in_plain_text; outbound shop/caller\r\n");
      expect(answer).toEndWith("ask for it by CONNECT, or by http");
      expect(plane.network.attempts).toHaveLength(0);
      expect(plane.counted()).toEqual(["400 - unknown"]);
    },
  );

  test("OutboundAcceptor takes https for a service of the mesh, which is called as the configuration says", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    plane.caller().send("GET https://shop/x HTTP/1.1\r\nHost: shop\r\n\r\n");
    expect(plane.network.attempts).toHaveLength(1);
  });

  test("OutboundAcceptor passes them through, in plain text and without our own fields", async () => {
    const plane = new DataPlane(shopSnapshot());
    const client = plane.caller();
    client.send(get("Elsewhere.:8081"));
    expect(plane.network.last.address).toMatchObject({ hostname: "elsewhere", port: 8081, spiffeId: null });
    const request = await plane.network.last.accept().read();
    expect(request).toStartWith("GET / HTTP/1.1\r\nhost: Elsewhere.:8081\r\n");
    expect(request).not.toContain("x-bowline");
    plane.network.last.say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
    const edge = [...plane.edges.edges()].find(({ series }) => series.length > 0);
    expect(edge?.labels.service.name).toBe("PassthroughCluster");
  });

  test("OutboundAcceptor takes port 80 where none is said, and IPv6 in brackets", () => {
    const plane = new DataPlane(shopSnapshot());
    plane.caller().send(get("elsewhere"));
    expect(plane.network.last.address).toMatchObject({ hostname: "elsewhere", port: 80 });
    plane.caller().send(get("[2001:db8::1]:81"));
    expect(plane.network.last.address).toMatchObject({ hostname: "2001:db8::1", port: 81 });
  });

  test("OutboundAcceptor does not try a host that nobody declared twice: 503 UF", async () => {
    const plane = new DataPlane(shopSnapshot());
    const client = plane.caller();
    client.send(get("elsewhere"));
    plane.network.last.refuse();
    plane.clock.advance(500);
    expect(plane.network.attempts).toHaveLength(1);
    expect(await client.read()).toContain("x-bowline-reply: UF ");
  });

  test("OutboundAcceptor blocks them with 502 where only the registry is allowed", async () => {
    const plane = new DataPlane(snapshotOf(settings({ outboundPolicy: "REGISTRY_ONLY" })));
    expect(await answerTo(plane, get("elsewhere"))).toStartWith("HTTP/1.1 502 Bad Gateway\r\n");
    expect(plane.network.attempts).toHaveLength(0);
  });
});

describe("snapshots", () => {
  test("a request in flight ends on what it began with, the next one goes by the new snapshot", async () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const client = plane.caller();
    client.get();
    const old = plane.network.last.accept();
    plane.apply(shopSnapshot(endpoint(2)));
    old.say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(old.wire.ended).toBe(true);
    client.get();
    expect(plane.network.last.address).toMatchObject({ hostname: "192.0.2.2" });
    expect(plane.counted()).toEqual(["200 - shop-1"]);
  });

  test("a snapshot that does not compile leaves the old one serving", () => {
    const plane = new DataPlane(shopSnapshot(endpoint(1)));
    const { compiled } = plane;
    expect(() => plane.apply(snapshotOf(virtualHost()))).toThrow("no proxy settings");
    expect(plane.compiled).toBe(compiled);
  });
});
