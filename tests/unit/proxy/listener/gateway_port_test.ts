/** What arrives at a gateway's port: requests, bytes, TLS that is passed on or has no certificate. */
import { describe, expect, test } from "bun:test";
import { PeerCertificates } from "../../../../src/proxy/peer_certificates.ts";
import type { GatewayChain, GatewayListener } from "../../../../src/model/gateway_listener.ts";
import type { Cluster, Endpoint } from "../../../../src/model/cluster.ts";
import type { Policy, PolicyTest } from "../../../../src/model/policy.ts";
import type { Route } from "../../../../src/model/route.ts";
import type { ProxySettings, Resource, VirtualHost } from "../../../../src/model/snapshot.ts";
import { GatewayPort } from "../../../../src/proxy/listener/gateway_port.ts";
import { Reception } from "../../../../src/proxy/listener/reception.ts";
import { TlsTermination, type TlsWarning } from "../../../../src/proxy/listener/tls_termination.ts";
import type { ServerMaterial } from "../../../../src/runtime/tls_options.ts";
import { LimitedWarnings } from "../../../../src/telemetry/limited_warnings.ts";
import {
  Arrival,
  cluster,
  DataPlane,
  endpoint,
  IN_FLIGHT_MAX,
  settings,
  snapshotOf,
  virtualHost,
} from "../data_plane.ts";
import { settle } from "../fake_wire.ts";
import { OK } from "../http1/upstream.ts";
import { jwksOf, key, rule, sign } from "../jwt/tokens.ts";
import { CLIENT_HELLOS } from "./client_hellos.ts";

const TABLE = "http.:80";

function listener(...chains: Partial<GatewayChain>[]): GatewayListener {
  const whole = chains.map((chain) => ({ serverNames: [], tls: null, table: null, routes: [], ...chain }));
  return { kind: "gatewayListener", name: ":80", bind: null, port: 80, chains: whole };
}

const REQUESTS = listener({ table: TABLE });
const TO_SHOP = { origin: null, destinations: [{ cluster: cluster().name, weight: 1 }] };

interface EdgeParts {
  readonly host?: Partial<VirtualHost>;
  readonly asked?: Partial<Cluster>;
  readonly at?: Endpoint;
  readonly own?: Partial<ProxySettings>;
}

/** A gateway with this port, before the shop; `shop.test` is known to it. */
class Edge {
  readonly plane: DataPlane;
  readonly #warnings: string[] = [];
  readonly #reception: Reception;
  #serves = true;
  /** What the store has for whatever is asked. */
  material: ServerMaterial | null = null;

  constructor(port: GatewayListener, { host, asked = {}, at = endpoint(1), own }: EdgeParts = {}) {
    const known: Resource[] = [
      settings({ inbound: [], ...own }),
      port,
      virtualHost({ name: `${TABLE}|shop.test`, table: TABLE, domains: ["shop.test"], ...host }),
      cluster({ toOriginalDestination: asked.resolution !== undefined, ...asked }),
      { kind: "endpoints", name: cluster().name, endpoints: [at] },
    ];
    this.plane = new DataPlane(snapshotOf(...known));
    this.#reception = new Reception(this.plane.gate, this.plane.wheel, "inbound");
  }

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** There is no snapshot any more. */
  forget(): void {
    this.#serves = false;
  }

  arrives(name = ":80"): Arrival {
    const { plane } = this;
    const { random, hosts, clock } = plane;
    const warn = (message: string) => void this.#warnings.push(message);
    const port = new GatewayPort(name, {
      reception: this.#reception,
      context: {
        ...plane.exchanges,
        random,
        hosts,
        isOwnAddress: () => false,
        current: () => plane.compiled,
      },
      termination: new TlsTermination({
        clock,
        trustDomain: "mesh.test",
        peers: new PeerCertificates(),
        warnings: new LimitedWarnings<TlsWarning>(clock, warn),
        current: () => plane.compiled,
        meshMaterial: () => null,
        certificate: () => this.material,
      }),
      current: () => this.#serves ? plane.compiled : null,
    });
    return new Arrival(port.accept);
  }

  /** The answer to a request for `authority` that needs no upstream. */
  async answer(authority: string, line = "GET /path?q HTTP/1.1", ...fields: string[]): Promise<string> {
    const client = this.arrives();
    client.send(`${line}\r\nHost: ${authority}\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`);
    return await client.read();
  }
}

describe("GatewayPort that carries requests", () => {
  test.each(["shop.test", "SHOP.test:8080", "shop.test:80"])(
    "sends a request for %s on",
    async (authority) => {
      const edge = new Edge(REQUESTS);
      const client = edge.arrives();
      client.send(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
      const upstream = edge.plane.network.last.accept();
      expect(upstream.address).toMatchObject({ hostname: "192.0.2.1", port: 8080 });
      upstream.say(OK);
      expect(await client.read()).toStartWith("HTTP/1.1 200");
    },
  );

  test("tells the upstream who called, and nothing that only proxies may say", async () => {
    const edge = new Edge(REQUESTS);
    const said = [
      "x-bowline-peer: shop/evil",
      "x-envoy-original-path: /a",
      "x-forwarded-client-cert: Hash=0",
    ];
    void edge.answer("shop.test", "GET / HTTP/1.1", ...said, "x-forwarded-for: 203.0.113.9");
    const upstream = edge.plane.network.last.accept();
    await settle();
    const asked = upstream.wire.written.toLowerCase();
    expect(asked).toContain("x-forwarded-for: 203.0.113.9,192.0.2.1\r\n");
    expect(asked).toContain("x-forwarded-proto: http\r\n");
    for (const name of ["evil", "original-path", "hash=0"]) expect(asked).not.toContain(name);
  });

  test("edits an answer as the route says, and takes away what only proxies may say", async () => {
    const edits = { set: [["x-set", "1"]], add: [], remove: [] } as const;
    const [route] = virtualHost().routes as [Route];
    const edge = new Edge(REQUESTS, { host: { routes: [{ ...route, responseHeaders: edits }] } });
    const client = edge.arrives();
    client.send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    edge.plane.network.last.accept().say("HTTP/1.1 204 No Content\r\nx-bowline-peer: p\r\n\r\n");
    expect(await client.read()).toBe("HTTP/1.1 204 No Content\r\nx-set: 1\r\n\r\n");
  });

  test("lets a request with a token pass that holds, and none whose token does not", async () => {
    const signer = await key("ES256");
    const jwtRules = [rule({ keys: { type: "inline", jwks: jwksOf(signer) } })];
    const edge = new Edge(REQUESTS, { own: { jwtRules } });
    const line = "GET / HTTP/1.1";
    expect(await edge.answer("shop.test", line, "Authorization: Bearer a.b.c")).toStartWith("HTTP/1.1 401");
    const { attempts } = edge.plane.network;
    void edge.answer("shop.test", line, `Authorization: Bearer ${await sign(signer)}`);
    for (let i = 0; i < 1_000 && attempts.length === 0; i++) await Bun.sleep(1);
    expect(attempts).toHaveLength(1);
  });

  test("sends the one form of a path on, and refuses what has none", async () => {
    const edge = new Edge(REQUESTS);
    for (const path of ["/public/..;/admin", "/a%2Fb", "/a%00", "/a%zz"]) {
      expect(await edge.answer("shop.test", `GET ${path} HTTP/1.1`)).toStartWith("HTTP/1.1 400");
    }
    expect(edge.plane.network.attempts).toEqual([]);
    void edge.answer("shop.test", "GET /public/..//%61dmin?%2f HTTP/1.1");
    expect(await edge.plane.network.last.accept().read()).toStartWith("GET /admin?%2f HTTP/1.1\r\n");
  });

  test("has no other host, and is nobody's way to anywhere", async () => {
    const edge = new Edge(REQUESTS);
    expect(await edge.answer("shop")).toStartWith("HTTP/1.1 404");
    expect(await edge.answer("192.0.2.1:8080")).toStartWith("HTTP/1.1 404");
    expect(await edge.answer("shop.test", "CONNECT shop.test:80 HTTP/1.1")).toStartWith("HTTP/1.1 404");
    expect(edge.plane.network.attempts).toEqual([]);
  });

  test("answers 404 where the host has no route for a request", async () => {
    const edge = new Edge(REQUESTS, { host: { routes: [] } });
    const answer = await edge.answer("shop.test");
    expect(answer).toStartWith("HTTP/1.1 404");
    // Why, and where, is for the mesh to know.
    expect(answer).not.toContain("x-bowline-");
    expect(edge.plane.network.attempts).toEqual([]);
  });

  test("sends plain text to HTTPS where the server says so, at HTTPS' own port", async () => {
    const edge = new Edge(REQUESTS, { host: { requiresTls: true } });
    const answer = await edge.answer("shop.test:80");
    expect(answer).toStartWith("HTTP/1.1 301");
    expect(answer).toMatch(/location: https:\/\/shop\.test(:80)?\/path\?q\r\n/i);
    expect(edge.plane.network.attempts).toEqual([]);
  });

  test("refuses one request above the cap", async () => {
    const edge = new Edge(REQUESTS);
    for (let i = 0; i < IN_FLIGHT_MAX; i++) expect(await edge.answer("shop.test")).toBe("");
    const before = edge.plane.network.attempts.length;
    expect(await edge.answer("shop.test")).toEndWith("too many requests in flight");
    expect(edge.plane.network.attempts).toHaveLength(before);
  });

  test("takes TLS for a request that is none", async () => {
    const client = new Edge(REQUESTS).arrives();
    client.send(CLIENT_HELLOS.curl);
    expect(await client.read()).toStartWith("HTTP/1.1 400");
  });
});

describe("GatewayPort with policies", () => {
  /** What becomes of a request, and of bytes, where this is denied. */
  async function denied(attribute: PolicyTest["attribute"], value: string): Promise<[string, boolean]> {
    const policy: Policy = {
      ...{ name: "edge/deny", action: "DENY", file: "deny.yaml", line: 1 },
      rules: [{
        line: 2,
        ...{ sources: [], operations: [], conditions: [{ attribute, values: [value] }] },
      }],
    };
    const requests = new Edge(REQUESTS, { own: { policies: [policy] } });
    const client = requests.arrives();
    client.send("GET /asked HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    const wentOn = requests.plane.network.attempts.length > 0;
    const bytes = new Edge(listener({ routes: [TO_SHOP] }), { own: { policies: [policy] } }).arrives();
    return [wentOn ? "sent on" : (await client.read()).slice(9, 12), bytes.wire.closed];
  }

  // The ends of each connection that arrives here.
  test.each(
    [
      ["source.ip", "192.0.2.1", "192.0.2.9"],
      ["destination.ip", "192.0.2.2", "192.0.2.1"],
      ["destination.port", "15001", "443"],
    ] as const,
  )("decides by %s of the connection", async (attribute, own, other) => {
    expect(await denied(attribute, own)).toEqual(["403", true]);
    expect(await denied(attribute, other)).toEqual(["sent on", false]);
  });

  test("decides by the path of a request", async () => {
    expect((await denied("path", "/asked"))[0]).toBe("403");
    expect((await denied("path", "/other"))[0]).toBe("sent on");
  });
});

describe("GatewayPort that carries TLS", () => {
  const passed = (...serverNames: string[]) => listener({ serverNames, routes: [TO_SHOP] });

  test("passes a connection on by its server name, from the first byte", async () => {
    for (const name of ["www.example.com", "*.example.com", "*"]) {
      const edge = new Edge(passed(name));
      const client = edge.arrives();
      client.send(CLIENT_HELLOS.curl);
      const upstream = edge.plane.network.last.accept();
      await settle();
      expect(upstream.wire.written).toBe(CLIENT_HELLOS.curl.toString("latin1"));
    }
  });

  test("closes on other names, on none unless it takes any, and on what is no TLS", () => {
    const named = new Edge(passed("api.test", "*.www.example.com"));
    for (const bytes of [CLIENT_HELLOS.curl, CLIENT_HELLOS.opensslWithoutName, "GET / HTTP/1.1\r\n\r\n"]) {
      const client = named.arrives();
      client.send(bytes);
      expect(client.wire.closed).toBe(true);
    }
    expect(named.plane.network.attempts).toEqual([]);
    const any = new Edge(passed("*"));
    any.arrives().send(CLIENT_HELLOS.opensslWithoutName);
    expect(any.plane.network.attempts).toHaveLength(1);
  });

  test.each(["anonymous", "mesh"] as const)("closes and tells where it has no certificate: %s", (clients) => {
    const source = { type: "credential", name: "shop", withRoots: false } as const;
    const tls = {
      clients,
      certificate: clients === "mesh" ? null : source,
      subjectAltNames: [],
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
    } as const;
    const edge = new Edge(listener({ serverNames: ["*"], tls, table: TABLE }));
    const client = edge.arrives();
    client.send(CLIENT_HELLOS.curl);
    expect(client.wire.closed).toBe(true);
    expect(edge.warnings).toEqual(["Closed a connection to :80: there is no certificate for it"]);
  });

  test("closes and tells where TLS does not take the certificate", () => {
    const certificate = { type: "credential", name: "shop", withRoots: false } as const;
    const tls = {
      clients: "anonymous",
      certificate,
      subjectAltNames: [],
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
    } as const;
    const edge = new Edge(listener({ serverNames: ["*"], tls, table: TABLE }));
    edge.material = { chain: "none", key: "none", roots: "" };
    const client = edge.arrives();
    const upgradeTLS = () => {
      throw new Error("no start line");
    };
    Object.assign(client.wire, { upgradeTLS });
    client.send(CLIENT_HELLOS.curl);
    expect(client.wire.terminated).toBe(true);
    expect(edge.warnings).toEqual(["TLS does not take the certificate for :80: Error: no start line"]);
  });
});

describe("GatewayPort", () => {
  test("carries bytes to where the routes lead, and closes without one, and one above the cap", async () => {
    const edge = new Edge(listener({ routes: [TO_SHOP] }));
    const client = edge.arrives();
    const upstream = edge.plane.network.last.accept();
    client.send("\x00\x01 anything");
    await settle();
    expect(upstream.wire.written).toBe("\x00\x01 anything");
    for (let i = 1; i < IN_FLIGHT_MAX; i++) expect(edge.arrives().wire.closed).toBe(false);
    expect(edge.arrives().wire.closed).toBe(true);
    const nowhere = new Edge(listener({}));
    expect(nowhere.arrives().wire.closed).toBe(true);
    expect(nowhere.plane.network.attempts).toEqual([]);
  });

  test.each(
    [
      ["ON_DEMAND", "db.test", ["db.test:8443"]],
      ["AUTHORITY", "*.shop.example", ["api.shop.example:8443"]],
      ["AUTHORITY", "*.example.com", []],
    ] as const,
  )("carries TLS with %s of %s to the host that is declared, or to none", (resolution, address, went) => {
    const to = { ...endpoint(1), address, port: 8443 };
    const edge = new Edge(listener({ serverNames: ["*"], routes: [TO_SHOP] }), {
      asked: { resolution },
      at: to,
    });
    edge.arrives().send(CLIENT_HELLOS.bun);
    expect(edge.plane.network.attempts.map(({ address: { hostname, port } }) => `${hostname}:${port}`))
      .toEqual([...went]);
  });

  test("takes nothing at a port that is gone, nor before there is a snapshot", () => {
    const edge = new Edge(REQUESTS);
    expect(edge.arrives(":81").taken).toBe(false);
    edge.forget();
    expect(edge.arrives().taken).toBe(false);
  });
});
