/** What arrives at 15001: where it goes is decided by its authority, its server name, or where it was going. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import type { UpstreamTls } from "../../../../src/model/upstream_tls.ts";
import { WHEEL_LATENESS_MS } from "../../../../src/lib/timer_wheel.ts";
import type { Endpoint, Resolution } from "../../../../src/model/cluster.ts";
import type { Listener, ProxySettings } from "../../../../src/model/snapshot.ts";
import {
  type Arrival,
  cluster,
  DataPlane,
  endpoint,
  IN_FLIGHT_MAX,
  listener,
  settings,
  snapshotOf,
  virtualHost,
} from "../data_plane.ts";
import { settle } from "../fake_wire.ts";
import { OK } from "../http1/upstream.ts";
import { CLIENT_HELLOS } from "./client_hellos.ts";
import { message, records, serverName } from "./hello_parts.ts";

const SERVICE_ADDRESS = { hostname: "10.96.0.1", port: 80 };
const ELSEWHERE = { hostname: "198.51.100.7", port: 80 };
const GONE = { cluster: "gone", weight: 1 };
const hello = (name: string) => records(message(serverName(name)));

interface World {
  readonly listener?: Partial<Listener>;
  readonly settings?: Partial<ProxySettings>;
  readonly endpoints?: readonly Endpoint[];
  readonly toOriginalDestination?: boolean;
  readonly resolution?: Resolution;
  readonly tls?: UpstreamTls;
}

function plane(
  { listener: more, settings: own, endpoints = [endpoint(11)], ...rest }: World = {},
): DataPlane {
  const { name } = cluster();
  return new DataPlane(snapshotOf(
    settings(own),
    virtualHost({ domains: ["shop", "shop:80", "shop.test", "shop.test:80"] }),
    cluster(rest),
    listener(more),
    { kind: "endpoints", name, endpoints },
  ));
}

function get(arrival: Arrival, host: string): void {
  arrival.send(`GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
}

/** Where the latest connection went. */
function went(mesh: DataPlane): string {
  const { hostname, port } = mesh.network.last.address;
  return `${hostname}:${port}`;
}

describe("OutboundListener, HTTP", () => {
  test.each([
    ["its authority, before where it was going", "shop", ELSEWHERE, "192.0.2.11:8080"],
    ["the service that was dialled", "nobody.example", SERVICE_ADDRESS, "192.0.2.11:8080"],
    ["the address that was dialled", "nobody.example", ELSEWHERE, "198.51.100.7:80"],
    ["the endpoint that was dialled", "nobody", { hostname: "192.0.2.11", port: 8080 }, "192.0.2.11:8080"],
  ])("OutboundListener sends a captured request by %s", async (_what, host, destination, expected) => {
    const mesh = plane();
    const client = mesh.arrives(destination);
    get(client, host);
    expect(went(mesh)).toBe(expected);
    mesh.network.last.accept();
    mesh.network.last.say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
  });

  test("OutboundListener passes HTTP/2 on as HTTP/2", () => {
    const mesh = plane();
    const client = mesh.arrives(ELSEWHERE);
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Buffer.from("000000040000000000", "hex"));
    // GET / with the authority "x", without any table: HPACK RFC 7541 §6.2.2.
    client.send(Buffer.from("000006010500000001828684010178", "hex"));
    expect(mesh.network.last.address).toMatchObject({ ...ELSEWHERE, protocol: "http2" });
  });

  test("OutboundListener speaks to a host of nobody's as the client speaks, which was not captured", () => {
    const mesh = plane();
    const client = mesh.arrives(null);
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Buffer.from("000000040000000000", "hex"));
    client.send(Buffer.from("000006010500000001828684010178", "hex"));
    expect(mesh.network.last.address).toMatchObject({ hostname: "x", port: 80, protocol: "http2" });
    get(mesh.arrives(null), "x");
    expect(mesh.network.last.address).toMatchObject({ hostname: "x", port: 80, protocol: "http1" });
  });

  test("OutboundListener sends nothing in plain text whose :scheme is https", async () => {
    const mesh = plane();
    const client = mesh.arrives(null);
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Buffer.from("000000040000000000", "hex"));
    // The same with `:scheme: https`.
    client.send(Buffer.from("000006010500000001828784010178", "hex"));
    expect(mesh.network.attempts).toHaveLength(0);
    expect(await client.read()).toContain("by CONNECT, or by http");
    // In capitals too (CVE-2023-35944), as a literal.
    client.send(Buffer.from("00000c0105000000038206054854545053" + "84010178", "hex"));
    expect(mesh.network.attempts).toHaveLength(0);
    expect(await client.read()).toContain("by CONNECT, or by http");
  });

  test("OutboundListener sends no request in plain text to a port of TLS that was not captured", async () => {
    const mesh = plane({ listener: { name: "shop.test:443", port: 443, protocol: "tls" } });
    for (const authority of ["shop.test:443", "10.96.0.1:443"]) {
      const client = mesh.arrives(null);
      get(client, authority);
      expect(await client.read()).toStartWith("HTTP/1.1 400 ");
    }
    expect(mesh.network.attempts).toHaveLength(0);
    mesh.arrives(null).send("CONNECT shop.test:443 HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(went(mesh)).toBe("192.0.2.11:8080");
  });

  test("OutboundListener leaves a CONNECT to the proxy that it was meant for", async () => {
    const mesh = plane();
    mesh.arrives(ELSEWHERE).send("CONNECT x.example:443 HTTP/1.1\r\nHost: x.example:443\r\n\r\n");
    expect(mesh.network.last.address).toMatchObject({ ...ELSEWHERE, protocol: "http1" });
    expect(await mesh.network.last.accept().read()).toStartWith("CONNECT x.example:443 HTTP/1.1\r\n");
  });

  test("OutboundListener lets nothing through that is not declared, where the mesh says so", async () => {
    const mesh = plane({ settings: { outboundPolicy: "REGISTRY_ONLY" } });
    const client = mesh.arrives(ELSEWHERE);
    get(client, "nobody.example");
    expect(await client.read()).toStartWith("HTTP/1.1 502 ");
    const raw = mesh.arrives(ELSEWHERE);
    raw.send("\x00\x01");
    expect(raw.wire.terminated).toBe(true);
    const tls = mesh.arrives(null);
    tls.send(hello("nobody.example"));
    expect(tls.wire.terminated).toBe(true);
    expect(mesh.network.attempts).toHaveLength(0);
  });

  test("OutboundListener reads a port that is declared HTTP as HTTP only", async () => {
    const mesh = plane({ listener: { protocol: "http" } });
    const client = mesh.arrives(SERVICE_ADDRESS);
    client.send("\x00\x01\r\n\r\n");
    expect(await client.read()).toStartWith("HTTP/1.1 400 ");
    expect(mesh.network.attempts).toHaveLength(0);
  });
});

describe("OutboundListener, services that ask for no more than where a connection was going", () => {
  const NETWORK = { protocol: "http", addresses: ["198.51.100.0/24"] } as const;
  const name = (address: string) => [{ ...endpoint(1), address }];
  const world = {
    listener: NETWORK,
    toOriginalDestination: true,
    resolution: "AUTHORITY",
    endpoints: name("*.example.com"),
  } as const;
  const TLS: UpstreamTls = { sni: null, certificate: null, rootsFile: null, names: [], insecure: false };

  test.each(["198.51.100.7", "nobody.example", "shop"])("a request for %s goes there", async (authority) => {
    for (const resolution of ["AUTHORITY", "ON_DEMAND"] as const) {
      const mesh = plane({ ...world, resolution });
      const client = mesh.arrives(ELSEWHERE);
      get(client, authority);
      expect(went(mesh)).toBe("198.51.100.7:80");
      mesh.network.last.accept().say(OK);
      expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
      expect(mesh.counted()).toEqual(["200 - unknown"]);
    }
  });

  test("a request that was not captured goes to the name that it asks for", () => {
    const mesh = plane({ ...world, resolution: "ON_DEMAND", endpoints: name("db.test") });
    get(mesh.arrives(null), "shop");
    expect(went(mesh)).toBe("db.test:8080");
  });

  test.each([
    ["a.example.com", { serverName: "a.example.com" }],
    ["198.51.100.7", {}],
  ])("TLS that the proxy begins asks for %s", (authority, asked) => {
    const mesh = plane({ ...world, tls: TLS });
    get(mesh.arrives(ELSEWHERE), authority);
    const { tls } = mesh.network.last;
    expect(tls).toMatchObject({ oldest: "1.2", ...asked });
    expect(tls !== null && "serverName" in tls).toBe("serverName" in asked);
  });

  test("bytes and TLS go there once, and are closed where nobody listens", () => {
    for (const protocol of ["tcp", "tls"] as const) {
      const mesh = plane({ ...world, listener: { ...NETWORK, protocol } });
      const client = mesh.arrives(ELSEWHERE);
      if (protocol === "tls") client.send(hello("x.example"));
      expect(went(mesh)).toBe("198.51.100.7:80");
      mesh.network.last.refuse();
      mesh.clock.advance(1_000);
      expect([mesh.network.attempts.length, client.wire.terminated]).toEqual([1, true]);
    }
  });

  test("a CONNECT never leads back to the proxy", async () => {
    const listener = { protocol: "tcp", port: 15001, addresses: ["127.0.0.0/8"] } as const;
    const mesh = plane({ ...world, listener });
    const client = mesh.arrives(null);
    client.send("CONNECT 127.0.0.1:15001 HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await client.read()).toStartWith("HTTP/1.1 503 ");
    expect(mesh.network.attempts).toHaveLength(0);
  });
});

describe("OutboundListener, TCP", () => {
  test("OutboundListener sends bytes to the service that was dialled, whole and both ways", async () => {
    const mesh = plane({ listener: { protocol: "tcp" } });
    const client = mesh.arrives(SERVICE_ADDRESS);
    // Before a byte: the server may be the one to speak first.
    const server = mesh.network.last.accept();
    expect(went(mesh)).toBe("192.0.2.11:8080");
    server.say("220 ready\n");
    expect(await client.read()).toBe("220 ready\n");
    client.send("HELO ", "there\n");
    expect(await server.read()).toBe("HELO there\n");
    client.end();
    await server.read();
    expect(server.wire.shut).toBe(true);
    server.say("bye\n");
    expect(await client.read()).toBe("bye\n");
    server.close();
    await client.read();
    expect(client.wire.ended).toBe(true);
    client.close();
    expect([mesh.gate.proven, mesh.active, mesh.inFlight.count]).toEqual([0, 0, 0]);
  });

  test("OutboundListener sends bytes on that come after the server has said its last, and counts the end", async () => {
    const mesh = plane({ listener: { protocol: "tcp" } });
    const client = mesh.arrives(SERVICE_ADDRESS);
    const server = mesh.network.last.accept();
    await settle();
    server.say("bye\n");
    server.end();
    expect(await client.read()).toBe("bye\n");
    expect([client.wire.shut, mesh.counted()]).toEqual([true, ["tcp - shop-11 +1 -0 0/4"]]);
    client.send("thanks\n");
    client.end();
    expect(await server.read()).toBe("thanks\n");
    expect([server.wire.ended, mesh.counted()]).toEqual([true, ["tcp - shop-11 +1 -1 7/4"]]);
  });

  test("OutboundListener keeps what came before the upstream stands, and asks for no more", async () => {
    const mesh = plane({ listener: { protocol: "tcp" } });
    const client = mesh.arrives(SERVICE_ADDRESS);
    expect(client.wire.paused).toBe(true);
    client.send("early ");
    client.end();
    const server = mesh.network.last.accept();
    expect(await server.read()).toBe("early ");
    expect([client.wire.paused, server.wire.shut]).toEqual([false, true]);
  });

  test("OutboundListener stops reading when the upstream does", async () => {
    const mesh = plane({ listener: { protocol: "tcp" } });
    const client = mesh.arrives(SERVICE_ADDRESS);
    const server = mesh.network.last.accept();
    await server.read();
    server.wire.room = 10;
    client.send(Buffer.alloc(100_000));
    await server.read();
    expect(client.wire.paused).toBe(true);
    server.drain();
    await server.read();
    expect(client.wire.paused).toBe(false);
  });

  test("OutboundListener resets both ends when one is reset", async () => {
    const mesh = plane({ listener: { protocol: "tcp" } });
    const client = mesh.arrives(SERVICE_ADDRESS);
    const server = mesh.network.last.accept();
    await client.read();
    server.close("reset");
    expect(client.wire.terminated).toBe(true);
    const other = mesh.arrives(SERVICE_ADDRESS);
    const upstream = mesh.network.last.accept();
    await other.read();
    other.close(new Error("reset"));
    expect(upstream.wire.terminated).toBe(true);
    expect([mesh.gate.proven, mesh.active]).toEqual([0, 0]);
  });

  test("OutboundListener sends TLS by the rules for its name, and where it was going when there are none", () => {
    const [route] = listener().routes;
    if (route === undefined) throw new Error("The listener has no route");
    const routes = [{ ...route, matches: [{ serverNames: ["shop.test"], addresses: [] }] }];
    const mesh = plane({ listener: { protocol: "tls", routes } });
    mesh.arrives(SERVICE_ADDRESS).send(hello("shop.test"));
    expect(went(mesh)).toBe("192.0.2.11:8080");
    mesh.arrives(SERVICE_ADDRESS).send(hello("other.test"));
    expect(went(mesh)).toBe("10.96.0.1:80");
  });

  test("OutboundListener resets what leads nowhere", async () => {
    const refused = plane({ listener: { protocol: "tcp" } });
    const client = refused.arrives(SERVICE_ADDRESS);
    for (let attempt = 0; attempt < 3; attempt++) {
      refused.network.last.refuse();
      refused.clock.advance(1_000);
    }
    expect([client.wire.terminated, client.wire.written]).toEqual([true, ""]);
    const empty = plane({ listener: { protocol: "tcp" }, endpoints: [] });
    expect(empty.arrives(SERVICE_ADDRESS).wire.terminated).toBe(true);
    const unknown = plane({
      listener: { protocol: "tcp", routes: [{ origin: null, destinations: [GONE] }] },
    });
    expect(unknown.arrives(SERVICE_ADDRESS).wire.terminated).toBe(true);
    expect([empty.gate.proven, unknown.gate.proven, refused.gate.proven]).toEqual([0, 0, 0]);
  });

  test("OutboundListener counts TCP among what is in flight, and refuses one too many", () => {
    const mesh = plane({ listener: { protocol: "tcp" } });
    const open = Array.from({ length: IN_FLIGHT_MAX }, () => mesh.arrives(SERVICE_ADDRESS));
    expect(open.some(({ wire }) => wire.terminated)).toBe(false);
    expect(mesh.arrives(SERVICE_ADDRESS).wire.terminated).toBe(true);
  });

  test("OutboundListener goes over the mesh to an endpoint that has a sidecar, whichever way it is dialled", () => {
    for (const destination of [SERVICE_ADDRESS, { hostname: "192.0.2.11", port: 8080 }]) {
      const mesh = plane({ listener: { protocol: "tcp" }, endpoints: [endpoint(11, true)] });
      mesh.arrives(destination);
      expect(mesh.network.last.address).toMatchObject({ hostname: "192.0.2.11", port: 15008 });
      expect(mesh.network.last.tls).not.toBeNull();
    }
  });

  test("OutboundListener stays with the endpoint that was dialled", () => {
    const endpoints = [endpoint(11), endpoint(12), endpoint(13)];
    const mesh = plane({ listener: { protocol: "tcp" }, endpoints });
    for (let i = 0; i < 4; i++) {
      mesh.arrives({ hostname: "192.0.2.12", port: 8080 });
      expect(went(mesh)).toBe("192.0.2.12:8080");
    }
  });

  test("OutboundListener goes on to where it was going when the service asks for no more", () => {
    const mesh = plane({
      listener: { protocol: "tcp", addresses: ["0.0.0.0/0"] },
      toOriginalDestination: true,
    });
    mesh.arrives(ELSEWHERE);
    expect(went(mesh)).toBe("198.51.100.7:80");
  });

  test("OutboundListener goes to the name that TLS asks for when such a service was not dialled", () => {
    const mesh = plane({
      listener: { protocol: "tls", port: 8443, serverNames: ["*.example.com"] },
      toOriginalDestination: true,
    });
    mesh.arrives(null).send(hello("api.example.com"));
    expect(went(mesh)).toBe("api.example.com:8443");
  });

  test("OutboundListener waits for the first bytes where nothing is declared, but not for ever", () => {
    const mesh = plane();
    const client = mesh.arrives(SERVICE_ADDRESS);
    expect(mesh.network.attempts).toHaveLength(0);
    client.send("*1\r\n");
    expect(went(mesh)).toBe("192.0.2.11:8080");
    const silent = plane();
    silent.arrives(ELSEWHERE);
    silent.clock.advance(DEFAULT_LIMITS.detectionMs + WHEEL_LATENESS_MS);
    expect(went(silent)).toBe("198.51.100.7:80");
  });

  test.each([
    ["as long as the mesh says", 200, "198.51.100.7:80"],
    ["for ever with 0", 0, null],
  ])("OutboundListener waits for a silent client %s", (_, detectionTimeoutMs, to) => {
    const silent = plane({ settings: { detectionTimeoutMs } });
    silent.arrives(ELSEWHERE);
    silent.clock.advance(100);
    expect(silent.network.attempts).toHaveLength(0);
    silent.clock.advance(
      detectionTimeoutMs === 0 ? 10 * DEFAULT_LIMITS.connectionIdleMs : 100 + WHEEL_LATENESS_MS,
    );
    if (to === null) expect(silent.network.attempts).toHaveLength(0);
    else expect(went(silent)).toBe(to);
  });

  test.each([25, 53, 3306, 27017])("OutboundListener waits for nobody at port %i", (port) => {
    const mesh = plane();
    mesh.arrives({ ...ELSEWHERE, port });
    expect(went(mesh)).toBe(`198.51.100.7:${port}`);
  });
});

describe("OutboundListener, TLS", () => {
  test.each([
    ["the service that it names, wherever it was going", "shop.test", ELSEWHERE, "192.0.2.11:8080"],
    ["the service that was dialled, for a name of nobody's", "x.example", SERVICE_ADDRESS, "192.0.2.11:8080"],
    ["the address that was dialled", "x.example", ELSEWHERE, "198.51.100.7:80"],
    ["the service that it names, dialled at the proxy", "shop.test", null, "192.0.2.11:8080"],
    ["port 443 of the name, dialled at the proxy", "x.example", null, "x.example:443"],
  ])("OutboundListener sends TLS to %s", async (_what, name, destination, expected) => {
    const mesh = plane({ listener: { protocol: destination === null ? "tls" : "auto" } });
    const bytes = hello(name);
    mesh.arrives(destination).send(bytes.subarray(0, 20), bytes.subarray(20));
    expect(went(mesh)).toBe(expected);
    expect(await mesh.network.last.accept().read()).toBe(bytes.toString("latin1"));
  });

  test("OutboundListener reads TLS without a server's name as HTTP when nothing else says where to go", async () => {
    const mesh = plane();
    const client = mesh.arrives(null);
    client.send(CLIENT_HELLOS.opensslWithoutName);
    expect(mesh.network.attempts).toHaveLength(0);
    expect(mesh.warnings).toHaveLength(1);
    expect(mesh.warnings[0]).toContain("neither HTTP nor TLS with a server name");
    const captured = mesh.arrives(ELSEWHERE);
    captured.send(CLIENT_HELLOS.opensslWithoutName);
    expect(went(mesh)).toBe("198.51.100.7:80");
  });
});

describe("OutboundListener", () => {
  test.each([15001, 15006])("OutboundListener closes what would go in a circle, by port %i", (port) => {
    const mesh = plane();
    expect(mesh.arrives({ hostname: "127.0.0.1", port }).taken).toBe(false);
    expect(mesh.warnings).toEqual([
      `Closed a captured connection to 127.0.0.1:${port}, a port of this proxy: it would go in a circle`,
    ]);
    expect(mesh.arrives({ hostname: "127.0.0.1", port }).taken).toBe(false);
    expect(mesh.warnings).toHaveLength(1);
  });

  test("OutboundListener answers 400 to bytes that say nothing, and says why in the log", async () => {
    const mesh = plane();
    const client = mesh.arrives(null);
    client.send("\x00\x01\r\n\r\n");
    expect(await client.read()).toStartWith("HTTP/1.1 400 ");
    expect(mesh.warnings[0]).toContain("capture it with iptables, or ask by CONNECT");
  });
});
