/** Calls to the own workload: who calls is what the certificate says, where to is what a service declares. */
import { describe, expect, test } from "bun:test";
import type { InboundPort } from "../../../../src/model/snapshot.ts";
import { PORT_CLOSES_AFTER_MS } from "../../../../src/proxy/closing_ports.ts";
import { DESCRIPTIONS_PER_IDENTITY_MAX } from "../../../../src/proxy/mesh_headers.ts";
import {
  CALLER_ID,
  CAPS,
  type Client,
  DataPlane,
  IN_FLIGHT_MAX,
  SERVICE,
  settings,
  snapshotOf,
} from "../data_plane.ts";
import { OK } from "../http1/upstream.ts";
import { jwksOf, key, rule } from "../jwt/tokens.ts";

function plane(): DataPlane {
  return new DataPlane(snapshotOf(settings()));
}

function call(client: Client, port: string, ...fields: string[]): void {
  client.get("/x", `x-bowline-port: ${port}`, ...fields);
}

describe("InboundAcceptor", () => {
  test("InboundAcceptor delivers to the workload's port, without our own fields", async () => {
    const mesh = plane();
    const client = mesh.peer();
    call(client, "8080", "X-Bowline-Peer: caller;web;v2", "x-bowline-other: z", "X: y");
    expect(mesh.network.last).toMatchObject({ address: { hostname: "127.0.0.1", port: 8080 }, tls: null });
    expect(await mesh.network.last.accept().read()).toBe(
      "GET /x HTTP/1.1\r\nhost: shop\r\nx: y\r\nx-forwarded-client-cert: By=spiffe://mesh.test/ns/web/sa/caller;" +
        'Hash=00ff;Subject="";URI=spiffe://mesh.test/ns/web/sa/caller\r\n\r\n',
    );
    mesh.network.last.say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
  });

  test("InboundAcceptor takes the authority's port from a peer that names none, else the only port there is", async () => {
    const services = (...ports: number[]) => {
      const { inbound: [first], ...rest } = settings();
      return snapshotOf({ ...rest, inbound: ports.map((port) => ({ ...first as InboundPort, port })) });
    };
    const portFor = async (ports: number[], host: string) => {
      const mesh = new DataPlane(services(...ports));
      const client = mesh.peer();
      client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      if (mesh.network.attempts.length > 0) return mesh.network.last.address.port;
      return (await client.read()).split(" ")[1];
    };
    expect(await portFor([8080, 9090], "shop:9090")).toBe(9090);
    expect(await portFor([8080], "shop")).toBe(8080);
    expect(await portFor([8080], "shop:22")).toBe(8080);
    expect(await portFor([8080, 9090], "shop")).toBe("404");
    expect(await portFor([8080, 9090], "shop:22")).toBe("404");
  });

  test("InboundAcceptor counts the caller under the certificate's namespace and its own description", async () => {
    const mesh = plane();
    const client = mesh.peer();
    let accepted = false;
    for (const peer of ["caller;web;v2", "caller;web;v2", "other", "", ";;", `${"x".repeat(513)};a;b`]) {
      call(client, "8080", `x-bowline-peer: ${peer}`);
      if (!accepted) mesh.network.last.accept();
      accepted = true;
      mesh.network.last.say(OK);
      await client.read();
    }
    const edges = [...mesh.edges.edges()].filter(({ series }) => series.length > 0);
    expect(edges.map(({ labels: { source, reporter, mtls }, series }) => [
      reporter,
      mtls,
      source.principal,
      source.namespace,
      source.name,
      source.app,
      source.version,
      series[0]?.count,
    ])).toEqual([
      ["destination", true, CALLER_ID, "web", "caller", "web", "v2", 2],
      ["destination", true, CALLER_ID, "web", "other", "other", "latest", 1],
      ["destination", true, CALLER_ID, "web", "caller", "caller", "latest", 3],
    ]);
  });

  test("InboundAcceptor counts a caller that describes itself anew each time under its certificate alone", async () => {
    const mesh = plane();
    const client = mesh.peer();
    for (let i = 0; i < DESCRIPTIONS_PER_IDENTITY_MAX + 100; i++) {
      call(client, "8080", `x-bowline-peer: caller-${i};web;v${i}`);
      if (i === 0) mesh.network.last.accept();
      mesh.network.last.say(OK);
      await client.read();
    }
    const edges = [...mesh.edges.edges()].filter(({ series }) => series.length > 0);
    expect(edges).toHaveLength(DESCRIPTIONS_PER_IDENTITY_MAX + 1);
    expect(edges.at(-1)?.labels.source).toMatchObject({ name: "caller", app: "caller", version: "latest" });
    expect(edges.at(-1)?.series[0]?.count).toBe(100);
  });

  test.each(["", "22", "0", "-1", "8081", "8080x", "NaN", "80 80"])(
    "InboundAcceptor opens no port that no service declares: %p",
    async (port) => {
      const mesh = plane();
      const client = mesh.peer();
      call(client, port);
      expect(await client.read()).toStartWith("HTTP/1.1 404 Not Found\r\n");
      expect(mesh.network.attempts).toHaveLength(0);
      expect(mesh.counted()).toEqual(["404 NR caller"]);
    },
  );

  test("InboundAcceptor opens a tunnel to a declared port, and to no other", async () => {
    const mesh = plane();
    const client = mesh.peer();
    client.send("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nx-bowline-port: 8080\r\n\r\n");
    expect(mesh.network.last.address).toMatchObject({ port: 8080, protocol: "tcp" });
    mesh.network.last.accept();
    expect(await client.read()).toBe("HTTP/1.1 200 OK\r\n\r\n");
  });

  test("InboundAcceptor reads what is inside a tunnel to a port of HTTP, while there is room for connections", async () => {
    const { inbound: [first], ...rest } = settings();
    const mesh = new DataPlane(
      snapshotOf({ ...rest, inbound: [{ ...first as InboundPort, declared: "http" }] }),
    );
    const tunnel = async () => {
      const client = mesh.peer();
      client.send("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nx-bowline-port: 8080\r\n\r\n");
      return { client, status: (await client.read()).split(" ")[1] };
    };
    const { client, status } = await tunnel();
    expect([status, mesh.network.attempts.length]).toEqual(["200", 0]);
    client.send("GET /a//b HTTP/1.1\r\nHost: shop\r\nx-forwarded-client-cert: URI=spiffe://x\r\n\r\n");
    const heard = await mesh.network.last.accept().read();
    expect(heard).toStartWith("GET /a/b HTTP/1.1\r\nhost: shop\r\nx-forwarded-client-cert: By=");
    const room = CAPS.connections - 1;
    const statuses = await Promise.all(Array.from({ length: room + 1 }, async () => (await tunnel()).status));
    expect(statuses).toEqual([...Array<string>(room).fill("200"), "503"]);
  });

  test("InboundAcceptor looks into a tunnel to a port of which nothing is declared where tokens are to be verified", async () => {
    const jwks = jwksOf(await key("ES256"));
    const plane = (declared: InboundPort["declared"], tokens: boolean) => {
      const { inbound: [first], ...rest } = settings();
      const jwtRules = tokens ? [rule({ keys: { type: "inline", jwks } })] : [];
      return new DataPlane(
        snapshotOf({ ...rest, jwtRules, inbound: [{ ...first as InboundPort, declared }] }),
      );
    };
    const REQUEST = "GET /a//b HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer forged\r\n\r\n";
    const carried = async (declared: InboundPort["declared"], tokens: boolean, text = REQUEST) => {
      const mesh = plane(declared, tokens);
      const client = mesh.peer();
      client.send("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nx-bowline-port: 8080\r\n\r\n");
      await client.read();
      if (mesh.network.attempts.length > 0) mesh.network.last.accept();
      await client.read();
      const before = mesh.network.attempts.length;
      client.send(text);
      // Bytes that wait for it have a connection only now.
      if (mesh.network.attempts.length > before) mesh.network.last.accept();
      const said = mesh.network.attempts.length > 0 ? await mesh.network.last.read() : await client.read();
      return said.split("\r\n")[0];
    };
    expect(await carried("auto", true)).toBe("HTTP/1.1 401 Unauthorized");
    expect(await carried("auto", false)).toBe("GET /a//b HTTP/1.1");
    expect(await carried("tcp", true)).toBe("GET /a//b HTTP/1.1");
    // What is no request has no token; only where HTTP is declared it has no business there.
    expect(await carried("auto", true, "\x01\x02 bytes\r\n")).toBe("\x01\x02 bytes");
    expect(await carried("http", true, "\x01\x02 bytes\r\n\r\n")).toBe("HTTP/1.1 400 Bad Request");
  });

  test("InboundAcceptor refuses ports that no service declares, and what is no request", async () => {
    for (
      const [text, status, counted] of [
        ["GET / HTTP/1.1\r\nHost: shop\r\nx-bowline-port: 22\r\n\r\n", 404, "404 NR caller"],
        ["CONNECT a:1 HTTP/1.1\r\nHost: a\r\nx-bowline-port: 22\r\n\r\n", 404, "tcp NR caller +1 -1 0/0"],
        ["nonsense\r\n\r\n", 400, "400 DPE caller"],
      ] as const
    ) {
      const mesh = plane();
      const client = mesh.peer();
      client.send(text);
      expect(await client.read()).toStartWith(`HTTP/1.1 ${status} `);
      expect(mesh.counted()).toEqual([counted]);
    }
  });

  test("InboundAcceptor delivers the normal form of the path, and refuses what has none", async () => {
    const mesh = plane();
    const client = mesh.peer();
    const ask = (path: string) =>
      client.send(`GET ${path} HTTP/1.1\r\nHost: shop\r\nx-bowline-port: 8080\r\n\r\n`);
    ask("/public/..;/admin");
    expect(await client.read()).toStartWith("HTTP/1.1 400 Bad Request\r\n");
    expect(mesh.network.attempts).toHaveLength(0);
    expect(mesh.counted()).toEqual(["400 - caller"]);
    ask("/public/../%61dmin?%2f");
    expect(await mesh.network.last.accept().read()).toStartWith("GET /admin?%2f HTTP/1.1\r\n");
  });

  test("InboundAcceptor carries as many requests at once as it may, and answers 503 OM above", async () => {
    const mesh = plane();
    for (let i = 0; i < IN_FLIGHT_MAX; i++) call(mesh.peer(), "8080");
    expect(mesh.network.attempts).toHaveLength(IN_FLIGHT_MAX);
    const above = mesh.peer();
    call(above, "8080");
    expect(await above.read()).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
    expect(mesh.counted()).toEqual(["503 OM caller"]);
  });

  test("InboundAcceptor goes by the new snapshot on an old connection", async () => {
    const mesh = plane();
    const client = mesh.peer();
    call(client, "8080");
    mesh.network.last.accept().say(OK);
    await client.read();
    mesh.apply(snapshotOf(settings({ inbound: [] })));
    mesh.clock.advance(PORT_CLOSES_AFTER_MS);
    call(client, "8080");
    expect(await client.read()).toStartWith("HTTP/1.1 404 Not Found\r\n");
  });

  test("InboundAcceptor serves at a port that closes until every caller must have heard of it", async () => {
    const mesh = plane();
    const client = mesh.peer();
    const none = snapshotOf(settings({ inbound: [] }));
    mesh.apply(none);
    mesh.clock.advance(PORT_CLOSES_AFTER_MS - 1);
    // What else changes meanwhile makes it no longer.
    mesh.apply(none);
    call(client, "8080");
    mesh.network.last.accept().say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
    mesh.clock.advance(1);
    call(client, "8080");
    expect(await client.read()).toStartWith("HTTP/1.1 404 Not Found\r\n");
  });

  test("InboundAcceptor lets policies decide at a port that closes", async () => {
    const mesh = plane();
    const client = mesh.peer();
    const denied = { name: "shop/nobody", action: "ALLOW", file: "p.yaml", line: 1, rules: [] } as const;
    mesh.apply(snapshotOf(settings({ inbound: [], policies: [denied] })));
    call(client, "8080");
    expect(await client.read()).toStartWith("HTTP/1.1 403 Forbidden\r\n");
  });

  test("InboundAcceptor does not let the workload speak as a proxy", async () => {
    const mesh = plane();
    const client = mesh.peer();
    call(client, "8080");
    mesh.network.last.accept().say(
      "HTTP/1.1 200 OK\r\nX-Bowline-Reply: UH made up\r\nContent-Length: 0\r\n\r\n",
    );
    expect(await client.read()).toBe("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  });

  test("InboundAcceptor tries a kept connection that closed in silence once more, and a refused one not", async () => {
    const mesh = plane();
    const client = mesh.peer();
    call(client, "8080");
    mesh.network.last.accept().say(OK);
    call(client, "8080");
    mesh.network.last.close();
    mesh.clock.advance(1);
    expect(mesh.network.attempts).toHaveLength(2);
    mesh.network.last.refuse();
    mesh.clock.advance(500);
    expect(mesh.network.attempts).toHaveLength(2);
    expect(await client.read()).toContain("HTTP/1.1 503 Service Unavailable\r\n");
    expect(mesh.counted()).toHaveLength(2);
    expect(mesh.active).toBe(0);
  });
});

describe("InboundPort.limits", () => {
  const MAX = 2;
  const limited = (more: Partial<InboundPort> = {}) =>
    snapshotOf(settings({
      inbound: [{
        port: 8080,
        service: SERVICE,
        limits: { maxConnections: MAX, maxPendingRequests: 1 },
        ...more,
      }],
    }));

  /** The workload takes the connection, if one was opened for it. */
  function callAndAccept(mesh: DataPlane): void {
    const before = mesh.network.attempts.length;
    call(mesh.peer(), "8080");
    if (mesh.network.attempts.length > before) mesh.network.last.accept();
  }

  test("as many requests as there may be go on or wait, and one above is answered 503 UO", async () => {
    const mesh = new DataPlane(limited());
    for (let i = 0; i <= MAX; i++) callAndAccept(mesh);
    expect(mesh.network.attempts).toHaveLength(MAX);
    const one = mesh.peer();
    call(one, "8080");
    expect(await one.read()).toStartWith("HTTP/1.1 503 ");
    expect(mesh.counted()).toEqual(["503 UO caller"]);
    expect(mesh.network.attempts).toHaveLength(MAX);
  });

  test("calls in plain text and tunnels count for the same limits", async () => {
    const mesh = new DataPlane(limited());
    callAndAccept(mesh);
    mesh.peer().send("CONNECT shop:80 HTTP/1.1\r\nHost: shop\r\nx-bowline-port: 8080\r\n\r\n");
    mesh.network.last.accept();
    expect(mesh.network.attempts).toHaveLength(MAX);
    const plain = mesh.arrivesPlain({ hostname: "192.0.2.1", port: 8080 });
    plain.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
    const second = mesh.arrivesPlain({ hostname: "192.0.2.1", port: 8080 });
    second.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
    expect(mesh.network.attempts).toHaveLength(MAX);
    expect(await plain.read()).toBe("");
    expect(await second.read()).toStartWith("HTTP/1.1 503 ");
  });

  test("what is in use counts on with the limits of the next snapshot", () => {
    const mesh = new DataPlane(limited());
    for (let i = 0; i < MAX; i++) callAndAccept(mesh);
    mesh.apply(limited({ limits: { maxConnections: MAX + 1 } }));
    for (let i = 0; i < MAX; i++) callAndAccept(mesh);
    expect(mesh.network.attempts).toHaveLength(MAX + 1);
  });

  test("a connection to the workload is given up after its time", async () => {
    const mesh = new DataPlane(limited({ connectTimeoutMs: 1_000 }));
    const client = mesh.peer();
    call(client, "8080");
    mesh.clock.advance(999);
    expect(await client.read()).toBe("");
    mesh.clock.advance(201);
    expect(await client.read()).toStartWith("HTTP/1.1 503 ");
  });
});
