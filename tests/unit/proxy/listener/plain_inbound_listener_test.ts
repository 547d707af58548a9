/** What arrives at 15006: plain calls to the own workload, from nobody knows whom. */
import { describe, expect, test } from "bun:test";
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import type { Policy, PolicyRule, PolicyTest } from "../../../../src/model/policy.ts";
import type { InboundPort } from "../../../../src/model/snapshot.ts";
import { Arrival, DataPlane, SERVICE, settings, snapshotOf } from "../data_plane.ts";
import { OK } from "../http1/upstream.ts";
import { CLIENT_HELLOS } from "./client_hellos.ts";

const HERE = { hostname: "192.0.2.1", port: 8080 };
const UNDECLARED = { hostname: "192.0.2.1", port: 22 };

function plane(more: Partial<InboundPort> = {}): DataPlane {
  return new DataPlane(snapshotOf(settings({ inbound: [{ port: 8080, service: SERVICE, ...more }] })));
}

describe("PlainInboundListener", () => {
  test("PlainInboundListener delivers requests without what their sender claims about itself", async () => {
    const mesh = plane();
    const client = mesh.arrivesPlain(HERE);
    client.send(
      "GET /a//b HTTP/1.1\r\nHost: shop\r\nX-Bowline-Port: 22\r\nX-Forwarded-Client-Cert: URI=spiffe://x\r\n" +
        "X-Envoy-Internal: true\r\nX: y\r\n\r\n",
    );
    expect(mesh.network.last.address).toMatchObject({ hostname: "127.0.0.1", port: 8080, protocol: "http1" });
    const heard = await mesh.network.last.accept().read();
    expect(heard).toStartWith("GET /a/b HTTP/1.1\r\nhost: shop\r\nx: y\r\nx-");
    expect(heard).not.toMatch(/bowline|client-cert|envoy/);
    expect(heard).toContain("\r\nx-request-id: ");
    mesh.network.last.say(OK);
    expect(await client.read()).toStartWith("HTTP/1.1 200 OK\r\n");
    const [edge] = [...mesh.edges.edges()].filter(({ series }) => series.length > 0);
    expect(edge?.labels).toMatchObject({
      reporter: "destination",
      source: { name: "unknown", principal: "" },
      service: SERVICE,
      mtls: false,
    });
  });

  test("PlainInboundListener delivers an HTTP CONNECT as the request that it is, where nothing is declared", async () => {
    const mesh = plane();
    mesh.arrivesPlain(HERE).send("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n");
    expect(mesh.network.last.address).toMatchObject({ port: 8080, protocol: "http1" });
    expect(await mesh.network.last.accept().read()).toStartWith("CONNECT x:1 HTTP/1.1\r\n");
  });

  test("PlainInboundListener opens no tunnel to a port that carries HTTP", async () => {
    const mesh = plane({ declared: "http" });
    const client = mesh.arrivesPlain(HERE);
    client.send("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n");
    expect(await client.read()).toStartWith("HTTP/1.1 404 ");
    expect(mesh.network.attempts).toHaveLength(0);
    expect(mesh.counted()).toEqual(["tcp NR caller +1 -1 0/0"]);
  });

  test("PlainInboundListener lets a CONNECT in only where policies let bytes in, since anything may follow", async () => {
    const test = (attribute: PolicyTest["attribute"], value: string): PolicyRule => ({
      line: 1,
      sources: [],
      operations: [[{ attribute, values: [value] }]],
      conditions: [],
    });
    const answer = async (action: Policy["action"], rule: PolicyRule, method = "CONNECT x:1") => {
      const policies: Policy[] = [{ name: "shop/p", action, file: "p.yaml", line: 1, rules: [rule] }];
      const inbound = [{ port: 8080, service: SERVICE }];
      const mesh = new DataPlane(snapshotOf(settings({ inbound, policies })));
      const client = mesh.arrivesPlain(HERE);
      client.send(`${method} HTTP/1.1\r\nHost: x\r\n\r\n`);
      return mesh.network.attempts.length > 0 ? "delivered" : (await client.read()).slice(9, 12);
    };
    expect(await answer("DENY", test("path", "/admin"))).toBe("403");
    expect(await answer("DENY", test("path", "/admin"), "GET /")).toBe("delivered");
    expect(await answer("ALLOW", test("method", "CONNECT"))).toBe("403");
    expect(await answer("ALLOW", test("destination.port", "8080"))).toBe("delivered");
    expect(await answer("DENY", test("destination.port", "9"))).toBe("delivered");
  });

  test("PlainInboundListener delivers bytes, and the workload's own TLS, as they are", async () => {
    for (const said of ["*1\r\n", CLIENT_HELLOS.bun.toString("latin1")]) {
      const mesh = plane();
      mesh.arrivesPlain(HERE).send(said);
      expect(mesh.network.last.address).toMatchObject({ hostname: "127.0.0.1", port: 8080, protocol: "tcp" });
      expect(await mesh.network.last.accept().read()).toBe(said);
    }
  });

  test("PlainInboundListener connects before the first byte where TCP or TLS is declared, or nothing is", () => {
    for (const declared of ["tcp", "tls"] as const) {
      const mesh = plane({ declared });
      mesh.arrivesPlain(HERE);
      expect(mesh.network.last.address).toMatchObject({ hostname: "127.0.0.1", port: 8080 });
    }
    const mesh = plane();
    mesh.arrivesPlain(UNDECLARED);
    // Where it was going, and not on loopback: what listens there alone is not for others.
    expect(mesh.network.last.address).toMatchObject({ ...UNDECLARED, protocol: "tcp" });
  });

  test("PlainInboundListener lets nothing plain through where mutual TLS is required", async () => {
    const strict = plane({ mtls: "strict" });
    expect(strict.arrivesPlain(HERE).taken).toBe(false);
    expect(strict.warnings).toEqual([
      "Closed a connection from 192.0.2.1 to port 8080: it is in plain text, and mutual TLS is required",
    ]);
    expect(strict.network.attempts).toHaveLength(0);
    for (const said of ["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bytes"]) {
      const readable = plane({ mtls: "strict", declared: "http" });
      const client = readable.arrivesPlain(HERE);
      client.send(said);
      expect([client.wire.terminated, readable.warnings]).toEqual([true, strict.warnings]);
      expect(readable.network.attempts).toHaveLength(0);
    }
    expect(plane({ mtls: "permissive" }).arrivesPlain(HERE).taken).toBe(true);
  });

  test("PlainInboundListener begins mutual TLS where HTTP is declared, in plain text or not", () => {
    for (const mtls of ["strict", "permissive"] as const) {
      const mesh = plane({ mtls, declared: "http" });
      mesh.arrivesPlain(HERE).send(CLIENT_HELLOS.bun);
      expect([mesh.secured, mesh.network.attempts]).toEqual([[8080], []]);
    }
  });

  test("PlainInboundListener refuses the next request on a connection that is older than the rule", async () => {
    const mesh = plane({ declared: "http" });
    const client = mesh.arrivesPlain(HERE);
    mesh.apply(snapshotOf(settings({ inbound: [{ port: 8080, service: SERVICE, mtls: "strict" }] })));
    client.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
    expect(await client.read()).toMatch(/^HTTP\/1\.1 403 [^]*over mutual TLS only/);
    expect(mesh.network.attempts).toHaveLength(0);
  });

  test("PlainInboundListener ends what is open in plain text where mutual TLS comes to be required", () => {
    const OTHER = { ...HERE, port: 9090 };
    const ports = (mtls: InboundPort["mtls"]) =>
      snapshotOf(settings({
        inbound: [
          { port: 8080, service: SERVICE, declared: "tcp", mtls },
          { port: 9090, service: SERVICE, declared: "tcp" },
        ],
      }));
    const mesh = plane();
    mesh.apply(ports("permissive"));
    const [first, other] = [HERE, OTHER].map((to) => {
      const client = mesh.arrivesPlain(to);
      mesh.network.last.accept();
      return client;
    }) as [Arrival, Arrival];
    mesh.apply(ports("strict"));
    mesh.clock.advance(DEFAULT_LIMITS.drainMs - 1);
    expect(first.wire.closed).toBe(false);
    mesh.clock.advance(1);
    expect([first.wire.closed, other.wire.closed]).toEqual([true, false]);
  });

  test("PlainInboundListener takes plain text for good where it comes to be allowed again", () => {
    const bytes = (mtls: InboundPort["mtls"]) =>
      snapshotOf(settings({ inbound: [{ port: 8080, service: SERVICE, declared: "tcp", mtls }] }));
    const mesh = new DataPlane(bytes("permissive"));
    const { accept } = mesh.plainInbound(HERE);
    const arrive = () => {
      const { wire } = new Arrival(accept);
      mesh.network.last.accept();
      return wire;
    };
    const before = arrive();
    mesh.apply(bytes("strict"));
    mesh.apply(bytes("permissive"));
    const after = arrive();
    mesh.clock.advance(DEFAULT_LIMITS.drainMs);
    expect([before.closed, after.closed]).toEqual([true, false]);
  });

  test("PlainInboundListener drains what is open when it closes", () => {
    const mesh = plane({ declared: "tcp" });
    const listener = mesh.plainInbound(HERE);
    const client = new Arrival(listener.accept);
    mesh.network.last.accept();
    listener.close();
    mesh.clock.advance(DEFAULT_LIMITS.drainMs - 1);
    expect(client.wire.closed).toBe(false);
    mesh.clock.advance(1);
    expect(client.wire.closed).toBe(true);
  });

  test.each([15001, 15006, 15008])("PlainInboundListener opens no port of the proxy: %i", (port) => {
    const mesh = plane();
    expect(mesh.arrivesPlain({ ...HERE, port }).taken).toBe(false);
    expect(mesh.warnings[0]).toContain(`port ${port} of this proxy`);
  });

  test("PlainInboundListener closes what was not captured, and says so once in a while", () => {
    const mesh = plane();
    for (let i = 0; i < 3; i++) expect(mesh.arrivesPlain(null).taken).toBe(false);
    expect(mesh.warnings).toHaveLength(1);
    mesh.clock.advance(10_000);
    mesh.arrivesPlain(null);
    expect(mesh.warnings[1]).toEndWith("only takes captured ones (and 2 more like it)");
  });

  test("PlainInboundListener answers what is no request with 400, and counts it", async () => {
    const mesh = plane({ declared: "http" });
    const client = mesh.arrivesPlain(HERE);
    client.send("nonsense\r\n\r\n");
    expect(await client.read()).toStartWith("HTTP/1.1 400 ");
    expect(mesh.counted()).toEqual(["400 DPE caller"]);
  });
});
