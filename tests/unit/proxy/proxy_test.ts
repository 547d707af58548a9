/** Two proxies on real sockets: plain text in, mutual TLS between them, plain text out. */
import { DEFAULT_LIMITS } from "../../../src/model/limits.ts";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { systemClock } from "../../../src/lib/clock.ts";
import { Prng } from "../../../src/lib/prng.ts";
import type { Endpoint } from "../../../src/model/cluster.ts";
import type { Snapshot } from "../../../src/model/snapshot.ts";
import { Proxy } from "../../../src/proxy/proxy.ts";
import { type ProxyCaps, proxyCaps } from "../../../src/proxy/proxy_caps.ts";
import { TestAuthority, type TlsLeaf } from "../identity/odd_certificates.ts";
import {
  CALLER_ID,
  cluster,
  endpoint,
  settings,
  SHOP_ID,
  shopSnapshot,
  snapshotOf,
  workload,
} from "./data_plane.ts";

const HERE = "127.0.0.1";
const authority = await TestAuthority.make();
const stranger = await TestAuthority.make("CN=stranger");
const leafOf = (id: string, by = authority) => by.issue({ names: [{ type: "url", value: id }] });
const [callerLeaf, shopLeaf, strangerLeaf] = await Promise.all([
  leafOf(CALLER_ID),
  leafOf(SHOP_ID),
  leafOf(CALLER_ID, stranger),
]);
const warnings: string[] = [];
const ports = { caller: freePort(), callerMesh: freePort(), shop: freePort(), shopMesh: freePort() };

/** A port that was free a moment ago. */
function freePort(): number {
  const listener = Bun.listen({ hostname: HERE, port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

function proxyOf(leaf: TlsLeaf, outbound: number, mesh: number, caps = proxyCaps(1_024)): Proxy {
  return new Proxy({
    clock: systemClock,
    random: new Prng(1),
    trustDomain: "mesh.test",
    addresses: {
      outbound: { hostname: HERE, port: outbound },
      inboundPlain: { hostname: HERE, port: 0 },
      mesh: { hostname: HERE, port: mesh },
    },
    gateway: null,
    credentials: null,
    deliverTo: HERE,
    jwksAllow: [],
    limits: DEFAULT_LIMITS,
    caps,
    tlsMaterial: () => ({ chain: leaf.chain, key: leaf.key, roots: authority.roots }),
    warn: (message) => warnings.push(message),
    info() {},
    onShutPorts() {},
  });
}

const caller = proxyOf(callerLeaf, ports.caller, ports.callerMesh);
const shop = proxyOf(shopLeaf, ports.shop, ports.shopMesh);
let upstream: Server;
/** Answers of the upstream that the test holds back. */
const held: (() => void)[] = [];

function upstreamPort(): number {
  return (upstream.address() as AddressInfo).port;
}

/** The shop's endpoint behind its mesh listener. */
function shopEndpoint(principal = SHOP_ID): Endpoint {
  return {
    ...endpoint(1, true),
    address: HERE,
    port: upstreamPort(),
    meshPort: ports.shopMesh,
    workload: workload("shop", principal),
  };
}

function shopSettings(): Snapshot {
  const service = { host: "shop.test", name: "shop", namespace: "shop" };
  return snapshotOf(
    settings({ workload: workload("shop", SHOP_ID), inbound: [{ port: upstreamPort(), service }] }),
  );
}

beforeAll(async () => {
  upstream = createServer((incoming, outgoing) => {
    if (incoming.url === "/echo") {
      incoming.pipe(outgoing);
      return;
    }
    const answer = () => outgoing.end(JSON.stringify({ url: incoming.url, headers: incoming.headers }));
    if (incoming.url === "/held") held.push(answer);
    else answer();
  });
  await new Promise<void>((resolve) => upstream.listen(0, HERE, resolve));
  caller.apply(shopSnapshot(shopEndpoint()));
  shop.apply(shopSettings());
  caller.listen();
  shop.listen();
});

afterAll(async () => {
  await Promise.all([caller.drain(0), shop.drain(0)]);
  upstream.closeAllConnections();
  upstream.close();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

function call(path: string, body?: Buffer, port = ports.caller): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    const outgoing = request(
      { host: HERE, port, path, method, headers: { host: "shop" }, agent: false },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks),
          }));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** Waits until something holds that another callback brings about. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) await Bun.sleep(5);
  expect(holds()).toBe(true);
}

function hash(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("two proxies", () => {
  test("a request goes through both, and both count it under proved identities", async () => {
    const { status, headers, body } = await call("/x?y");
    expect(status).toBe(200);
    const seen = JSON.parse(body.toString()) as { url: string; headers: Record<string, string> };
    expect(seen).toMatchObject({ url: "/x?y", headers: { host: "shop" } });
    expect(seen.headers["x-request-id"]).toMatch(/^[-0-9a-f]{36}$/);
    expect(seen.headers["traceparent"]).toStartWith("00-");
    expect(
      [...Object.keys(seen.headers), ...Object.keys(headers)].filter((name) => name.startsWith("x-bowline")),
    ).toEqual([]);
    for (const [proxy, reporter] of [[caller, "source"], [shop, "destination"]] as const) {
      const [report] = proxy.edges.takeReport();
      expect(report).toMatchObject({
        reporter,
        mtls: true,
        source: { principal: CALLER_ID },
        destination: { principal: SHOP_ID },
        responses: [{ code: 200, flags: "-", count: 1 }],
      });
    }
  });

  test("10 MB go both ways and come back equal", async () => {
    const bytes = Buffer.alloc(10 * 1024 * 1024);
    const random = new Prng(7);
    for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(random.uint32(), i);
    const { status, body } = await call("/echo", bytes);
    expect([status, body.length, hash(body)]).toEqual([200, bytes.length, hash(bytes)]);
  });

  test("a request in flight survives a new snapshot, and the next one goes by it", async () => {
    const slow = call("/held");
    await until(() => held.length === 1);
    caller.apply(shopSnapshot());
    shop.apply(shopSettings());
    expect((await call("/x")).headers["x-bowline-reply"]).toStartWith("UH ");
    held.pop()?.();
    expect(await slow).toMatchObject({ status: 200 });
    caller.apply(shopSnapshot(shopEndpoint()));
    expect(await call("/x")).toMatchObject({ status: 200 });
  });

  test("a snapshot that does not compile changes nothing", async () => {
    expect(() => caller.apply(snapshotOf(cluster()))).toThrow();
    expect(await call("/x")).toMatchObject({ status: 200 });
  });

  test("a peer of another identity is refused before a byte of the request: 503 UF", async () => {
    caller.apply(shopSnapshot(shopEndpoint("spiffe://mesh.test/ns/shop/sa/other")));
    const { status, headers } = await call("/x");
    expect(status).toBe(503);
    expect(headers["x-bowline-reply"]).toStartWith("UF,URX ");
    // One line, whatever the number of attempts: this request alone made three.
    await call("/x");
    const said = warnings.splice(0);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain("Refused the peer at 127.0.0.1:");
    caller.apply(shopSnapshot(shopEndpoint()));
  });

  test("an endpoint that refuses connections is 503 UF, and one that is no mesh listener too", async () => {
    for (const meshPort of [freePort(), upstreamPort()]) {
      caller.apply(shopSnapshot({ ...shopEndpoint(), meshPort }));
      const { status, headers } = await call("/x");
      expect([status, headers["x-bowline-reply"]?.slice(0, 6)]).toEqual([503, "UF,URX"]);
    }
    caller.apply(shopSnapshot(shopEndpoint()));
  });
});

describe("the mesh port", () => {
  /** What comes back when somebody with this certificate sends a request to the mesh port; null: refused. */
  async function knock(leaf: TlsLeaf | null): Promise<string | null> {
    const heard = Promise.withResolvers<string | null>();
    const own = leaf === null ? {} : { key: leaf.key, cert: leaf.chain };
    const text = `GET /x HTTP/1.1\r\nHost: shop\r\nx-bowline-port: ${upstreamPort()}\r\n\r\n`;
    const socket = await Bun.connect({
      hostname: HERE,
      port: ports.shopMesh,
      tls: { ...own, ca: authority.roots, rejectUnauthorized: false },
      socket: {
        handshake: (one) => void one.write(text),
        data: (_, chunk) => heard.resolve(chunk.toString()),
        close: () => heard.resolve(null),
        error: () => heard.resolve(null),
      },
    });
    const answer = await heard.promise;
    socket.terminate();
    return answer;
  }

  test("whoever shows a certificate of the mesh is let in, on HTTP/1.1 too", async () => {
    expect(await knock(callerLeaf)).toStartWith("HTTP/1.1 200 OK\r\n");
  });

  test("whoever shows no certificate, or one of a stranger, is refused without an answer", async () => {
    expect(await knock(null)).toBeNull();
    expect(await knock(strangerLeaf)).toBeNull();
  });

  test("whoever speaks plain text is refused without an answer", async () => {
    await expect(call("/x", undefined, ports.shopMesh)).rejects.toThrow();
  });
});

/** What one connection hears, and whether it is closed. */
class Listener {
  heard = "";
  closed = false;
  #socket!: Bun.Socket<undefined>;

  static async to(port: number): Promise<Listener> {
    const listener = new Listener();
    listener.#socket = await Bun.connect({
      hostname: HERE,
      port,
      socket: {
        data: (_, chunk) => void (listener.heard += chunk.toString("latin1")),
        end: (socket) => void socket.end(),
        close: () => void (listener.closed = true),
        error: () => {},
      },
    });
    return listener;
  }

  say(text: string): void {
    this.#socket.write(text);
  }

  close(): void {
    this.#socket.terminate();
  }
}

describe("caps", () => {
  const caps: ProxyCaps = {
    connections: 3,
    handshakes: 1,
    refused: 2,
    descriptors: 1_000,
    connecting: 10,
    connectingToOne: 10,
    requests: 10,
  };
  let capped: Proxy;
  let port: number;
  let mesh: number;

  async function start(some: Partial<ProxyCaps> = {}): Promise<void> {
    port = freePort();
    mesh = freePort();
    capped = proxyOf(callerLeaf, port, mesh, { ...caps, ...some });
    capped.apply(shopSnapshot({ ...endpoint(1), address: HERE, port: upstreamPort() }));
    capped.listen();
  }

  const asked = `GET /x HTTP/1.1\r\nHost: shop\r\n\r\n`;

  /** One that carries requests. */
  async function proven(): Promise<Listener> {
    const listener = await Listener.to(port);
    listener.say(asked);
    await until(() => listener.heard.startsWith("HTTP/1.1 200 OK"));
    return listener;
  }

  afterEach(() => capped.drain(0));

  test("connections up to the cap are served; one above hears 503, in HTTP/2 GOAWAY, in TLS nothing", async () => {
    await start();
    const served = [await proven(), await proven(), await proven()];
    const http1 = await Listener.to(port);
    http1.say(asked);
    await until(() => http1.closed);
    expect(http1.heard).toMatch(/^HTTP\/1\.1 503 .*\r\nretry-after: 1\r\n.*connection: close\r\n\r\n$/s);
    const http2 = await Listener.to(port);
    http2.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await until(() => http2.closed);
    expect(http2.heard.slice(9)).toStartWith("\0\0\x08\x07");
    const tls = await Listener.to(mesh);
    await until(() => tls.closed);
    expect(tls.heard).toBe("");
    expect(capped.refusals.downstream).toEqual({
      connections: 3,
      silent: 0,
      handshakes: 0,
      descriptors: 0,
    });
    served[0]?.close();
    await until(() => capped.connections === 2);
    await proven();
    for (const one of served) one.close();
  });

  test("of half-done handshakes the oldest gives way to one above the cap", async () => {
    await start();
    const first = await Listener.to(mesh);
    await Bun.sleep(30);
    expect(first.closed).toBe(false);
    const second = await Listener.to(mesh);
    await until(() => first.closed);
    expect([second.closed, capped.refusals.downstream.handshakes]).toEqual([false, 1]);
    second.close();
  });

  test("a burst up to the cap is served, though none of it has spoken yet", async () => {
    await start();
    const burst = await Promise.all(Array.from({ length: caps.connections }, () => Listener.to(port)));
    for (const one of burst) one.say(asked);
    await until(() => burst.every(({ heard }) => heard.startsWith("HTTP/1.1 200 OK")));
    for (const one of burst) one.close();
  });

  test("with the descriptors below the reserve in use, what comes is closed at once", async () => {
    await start({ descriptors: 1 });
    for (const to of [port, mesh]) {
      const listener = await Listener.to(to);
      await until(() => listener.closed);
    }
    expect(capped.refusals.downstream.descriptors).toBe(2);
  });

  test("drain() closes what has yet to speak", async () => {
    await start();
    const silent = [await Listener.to(port), await Listener.to(mesh)];
    await Bun.sleep(30);
    await capped.drain(5_000);
    await until(() => silent.every(({ closed }) => closed));
  });
});

describe("drain", () => {
  /** One that has a call in flight. */
  async function startDraining(timeoutMs: number) {
    const port = freePort();
    const draining = proxyOf(callerLeaf, port, freePort());
    draining.apply(shopSnapshot({ ...endpoint(1), address: HERE, port: upstreamPort() }));
    draining.listen();
    const older = call("/held", undefined, port);
    await until(() => held.length === 1);
    const drained = draining.drain(timeoutMs);
    const closes = async () => {
      while (await call("/x", undefined, port).then(() => true, () => false)) await Bun.sleep(5);
    };
    return { port, draining, older, drained, closes };
  }

  test("Proxy.drain() lets the own workload call until older calls are over, and answers all", async () => {
    const { port, draining, older, drained, closes } = await startDraining(30_000);
    expect((await call("/x", undefined, port)).status).toBe(200);
    const late = call("/held", undefined, port);
    await until(() => held.length === 2);
    held.shift()?.();
    expect((await older).headers.connection).toBe("close");
    await closes();
    held.shift()?.();
    expect((await late).status).toBe(200);
    await drained;
    expect(draining.connections).toBe(0);
  });

  test("Proxy.drain() breaks off older calls when the time is up, and not those that came late", async () => {
    const { port, older, drained, closes } = await startDraining(1_000);
    const broken = older.then(() => false, () => true);
    const late = call("/held", undefined, port);
    await until(() => held.length === 2);
    await closes();
    expect(await broken).toBe(true);
    held.splice(0).forEach((answer) => answer());
    expect((await late).status).toBe(200);
    await drained;
  });
});
