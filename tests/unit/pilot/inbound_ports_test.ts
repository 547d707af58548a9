/** Which connection pool holds for the connections of a proxy to its own workload. */
import { describe, expect, test } from "bun:test";
import type { ProxySettings } from "../../../src/model/snapshot.ts";
import { World } from "../../../src/pilot/world.ts";
import { caller, load, resource, service, snapshotFor, TRUST_DOMAIN } from "./fixture.ts";

const pool = (maxConnections: number) => `{tcp: {maxConnections: ${maxConnections}}}`;
const RULE = resource(
  "DestinationRule shop/web",
  `{host: web, trafficPolicy: {connectionPool: ${pool(4)}, portLevelSettings: [
    {port: {number: 80}, connectionPool: ${
    pool(3)
  }}, {port: {number: 82}, loadBalancer: {simple: RANDOM}}]}}`,
);
const PORTS = [80, 81, 82].map((port) => `{name: http-${port}, port: ${port}}`).join(", ");

/** The limits of each port of `web`. */
function limits(...documents: string[]) {
  const resources = load(service("web", "shop", PORTS), ...documents);
  const snapshot = snapshotFor(resources, caller("shop", { app: "web" }));
  const { inbound } = snapshot.get("proxy/self")?.body as ProxySettings;
  return Object.fromEntries(inbound.map(({ port, limits }) => [port, limits?.maxConnections]));
}

function sidecar(spec: string): string {
  return resource("Sidecar shop/default", `{${spec}}`);
}

const ingress = (port: number, rest: string) =>
  `{port: {number: ${port}, name: http, protocol: HTTP}${rest}}`;

describe("inboundPorts()", () => {
  test("a workload without rules has no limits", () => {
    expect(limits()).toEqual({ 80: undefined, 81: undefined, 82: undefined });
  });

  test("a DestinationRule's pool holds, that of a port before it; a port without one inherits nothing", () => {
    expect(limits(RULE)).toEqual({ 80: 3, 81: 4, 82: undefined });
  });

  test("a Sidecar's pool goes before any of a DestinationRule", () => {
    expect(limits(RULE, sidecar(`inboundConnectionPool: ${pool(2)}`))).toEqual({ 80: 2, 81: 2, 82: 2 });
  });

  test("an ingress' pool goes before its Sidecar's, also where no service leads", () => {
    const listeners = [ingress(80, `, connectionPool: ${pool(1)}`), ingress(81, ""), ingress(9999, "")];
    const written = `inboundConnectionPool: ${pool(2)}, ingress: [${listeners}]`;
    expect(limits(RULE, sidecar(written))).toEqual({ 80: 1, 81: 2, 9999: 2 });
    expect(limits(RULE, sidecar(`ingress: [${listeners}]`))).toEqual({ 80: 1, 81: 4, 9999: undefined });
  });

  test("a pool that is overridden leaves nothing behind", () => {
    const web = service("web", "shop", "{name: http, port: 80}");
    const written = resource(
      "DestinationRule shop/web",
      "{host: web, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 1s}, http: {http2MaxRequests: 9}}}}",
    );
    const inboundOf = (...more: string[]) => {
      const found = snapshotFor(load(web, written, ...more), caller("shop", { app: "web" }));
      return (found.get("proxy/self")?.body as ProxySettings).inbound[0];
    };
    expect(inboundOf()).toMatchObject({ limits: { maxRequests: 9 }, connectTimeoutMs: 1_000 });
    for (
      const spec of [
        `inboundConnectionPool: ${pool(2)}`,
        `ingress: [${ingress(80, `, connectionPool: ${pool(2)}`)}]`,
      ]
    ) {
      const inbound = inboundOf(sidecar(spec));
      expect(inbound?.limits).toEqual({ maxConnections: 2 });
      expect(inbound).not.toHaveProperty("connectTimeoutMs");
    }
  });

  test("a socket in the file system is where a port is delivered", () => {
    const spec = `ingress: [${ingress(80, ", defaultEndpoint: unix:///run/app.sock")}]`;
    const found = snapshotFor(
      load(service("web", "shop", PORTS), sidecar(spec)),
      caller("shop", { app: "web" }),
    );
    expect((found.get("proxy/self")?.body as ProxySettings).inbound[0]?.deliverTo)
      .toEqual({ hostname: "unix:///run/app.sock", port: 0 });
  });

  test("useClientProtocol of whichever pool counts speaks to the workload as the client does", () => {
    const follows = (...documents: string[]) => {
      const found = snapshotFor(
        load(service("web", "shop", PORTS), ...documents),
        caller("shop", { app: "web" }),
      );
      return (found.get("proxy/self")?.body as ProxySettings).inbound.map((one) =>
        one.followsClient === true
      );
    };
    const client = "{http: {useClientProtocol: true}}";
    const rule = (pool: string) =>
      resource("DestinationRule shop/web", `{host: web, trafficPolicy: {connectionPool: ${pool}}}`);
    expect(follows(rule(client))).toContain(true);
    expect(follows(rule(client), sidecar("inboundConnectionPool: {http: {}}"))).not.toContain(true);
    expect(follows(sidecar(`inboundConnectionPool: ${client}`))).toContain(true);
    const over = `ingress: [${ingress(80, ", connectionPool: {tcp: {maxConnections: 1}}")}]`;
    expect(follows(sidecar(`inboundConnectionPool: ${client}, ${over}`), rule(client))).not.toContain(true);
  });

  test("what a Sidecar's pool cannot do is refused", () => {
    for (
      const at of ["inboundConnectionPool: {POOL}", `ingress: [${ingress(80, ", connectionPool: {POOL}")}]`]
    ) {
      const written = sidecar(at.replace("POOL", "http: {h2UpgradePolicy: UPGRADE}"));
      expect(() => load(written)).toThrow("h2UpgradePolicy UPGRADE towards the workload");
    }
  });
});

test("World that follows an edit of a DestinationRule limits the workload behind its host", () => {
  const web = service("web", "shop", PORTS);
  const workload = caller("shop", { app: "web" });
  const input = { workloads: [workload], trustDomain: TRUST_DOMAIN };
  const before = new World({ ...input, resources: load(web) }, null);
  const unlimited = before.view(workload).self;
  const after = new World({ ...input, resources: load(web, RULE) }, before);
  expect(after.view(workload).self.version).not.toBe(unlimited.version);
});
