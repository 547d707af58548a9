import { describe, expect, test } from "bun:test";
import { defaultPortOf, selects, servicesOf, targetPortOf } from "../../../src/pilot/services.ts";
import type { ProxySettings } from "../../../src/model/snapshot.ts";
import {
  caller,
  cluster,
  endpoints,
  FQDN,
  load,
  resource,
  service,
  snapshotFor,
  virtualHost,
  workloadEntry,
} from "./fixture.ts";

describe("services", () => {
  test("virtual hosts answer to the short name only for callers of the same namespace", () => {
    const resources = load(service("web", "shop"));
    const near = virtualHost(snapshotFor(resources, caller("shop")), `${FQDN}:8080`);
    const far = virtualHost(snapshotFor(resources, caller("other")), `${FQDN}:8080`);
    const everywhere = [FQDN, "web.shop.svc", "web.shop"].flatMap((name) => [name, `${name}:8080`]).sort();
    expect([...far?.domains ?? []].sort()).toEqual(everywhere);
    expect([...near?.domains ?? []].sort()).toEqual([...everywhere, "web", "web:8080"].sort());
  });

  test("a portless authority leads to port 80, else to the first HTTP port, else to the first", () => {
    const domains = (ports: string) => {
      const snapshot = snapshotFor(load(service("web", "shop", ports)), caller("shop"));
      return [8080, 80, 9000].filter((port) =>
        virtualHost(snapshot, `${FQDN}:${port}`)?.domains.includes("web")
      );
    };
    expect(domains("{name: http-a, port: 8080}, {name: http-b, port: 80}")).toEqual([80]);
    expect(domains("{name: tcp-a, port: 9000}, {name: http-b, port: 8080}")).toEqual([8080]);
    expect(domains("{name: tcp-a, port: 9000}, {name: tcp-b, port: 8080}")).toEqual([9000]);
  });

  test("a portless authority of an external host means port 80 and nothing else", () => {
    const spec = (location: string) =>
      `{hosts: [api.example.com], location: ${location}, ports: [{number: 8443, name: http, protocol: HTTP}]}`;
    const external = servicesOf(load(resource("ServiceEntry shop/api", spec("MESH_EXTERNAL"))))[0]!;
    const internal = servicesOf(load(resource("ServiceEntry shop/api", spec("MESH_INTERNAL"))))[0]!;
    expect(defaultPortOf(external)).toBeNull();
    expect(defaultPortOf(internal)).toBe(8443);
  });

  test("domains are unique: a ServiceEntry's full host beats another service's short name", () => {
    const entry = resource(
      "ServiceEntry shop/web",
      "{hosts: [web.shop], location: MESH_INTERNAL, " +
        "resolution: STATIC, ports: [{number: 8080, name: http, protocol: HTTP}], endpoints: [{address: 10.1.1.1}]}",
    );
    const snapshot = snapshotFor(load(service("web", "shop"), entry), caller("shop"));
    const all = [...snapshot.values()].flatMap(({ body }) => body.kind === "virtualHost" ? body.domains : []);
    expect(new Set(all).size).toBe(all.length);
    expect(virtualHost(snapshot, "web.shop:8080")?.domains).toContain("web.shop:8080");
    expect(virtualHost(snapshot, `${FQDN}:8080`)?.domains).toContain("web");
  });

  test("addresses of a service are domains too, once each", () => {
    const entry = resource(
      "ServiceEntry shop/api",
      "{hosts: [10.2.0.1, api.example.com], " +
        "addresses: [10.2.0.1, 10.2.0.1, 10.3.0.0/16, 'FD00::1'], ports: [{number: 80, name: http, protocol: HTTP}]}",
    );
    const clusterIp = (ip: string) => service("web", "shop").replace("spec: {", `spec: {clusterIP: ${ip}, `);
    const snapshot = snapshotFor(load(clusterIp("10.1.0.1"), entry), caller("other"));
    expect(virtualHost(snapshot, "10.2.0.1:80")?.domains).toEqual([
      "10.2.0.1",
      "10.2.0.1:80",
      "[fd00::1]",
      "[fd00::1]:80",
    ]);
    expect(virtualHost(snapshot, "api.example.com:80")?.domains).not.toContain("10.2.0.1");
    const all = [...snapshot.values()].flatMap(({ body }) => body.kind === "virtualHost" ? body.domains : []);
    expect(new Set(all).size).toBe(all.length);
    expect(all).toContain("[fd00::1]:80");
    expect(virtualHost(snapshot, `${FQDN}:8080`)?.domains).toContain("10.1.0.1:8080");
    const headless = virtualHost(snapshotFor(load(clusterIp("None")), caller("other")), `${FQDN}:8080`);
    expect(headless?.domains.some((domain) => /none/i.test(domain))).toBe(false);
  });

  test("a workload's port of that name beats targetPort, which beats the same number", () => {
    const resources = load(
      service("web", "shop", "{name: http, port: 8080, targetPort: 9090}, {name: http-b, port: 81}"),
      workloadEntry("web-1", "shop", "{address: 10.0.0.1, labels: {app: web}, ports: {http: 7070}}"),
      workloadEntry("web-2", "shop", "{address: 10.0.0.2, labels: {app: web}}"),
    );
    const snapshot = snapshotFor(resources, caller("shop"));
    expect(endpoints(snapshot, `outbound|8080||${FQDN}`)).toEqual(["10.0.0.1:7070", "10.0.0.2:9090"]);
    expect(endpoints(snapshot, `outbound|81||${FQDN}`)).toEqual(["10.0.0.1:81", "10.0.0.2:81"]);
  });

  test("targetPortOf() resolves a target port by name, and falls back to the service's number", () => {
    const port = {
      number: 80,
      name: "http",
      protocol: "http",
      declared: "http",
      http: "http1",
      targetPort: "web",
    } as const;
    expect(targetPortOf(port, { ports: { web: 3000 } })).toBe(3000);
    expect(targetPortOf(port, { ports: {} })).toBe(80);
    expect(targetPortOf({ ...port, targetPort: "constructor" }, { ports: {} })).toBe(80);
  });

  test("a Service selects by all of its labels, in its own namespace alone", () => {
    const resources = load(
      service("web", "shop"),
      workloadEntry("near", "shop", "{address: 10.0.0.1, labels: {app: web, version: v1}}"),
      workloadEntry("far", "other", "{address: 10.0.0.2, labels: {app: web}}"),
      workloadEntry("else", "shop", "{address: 10.0.0.3, labels: {app: webber}}"),
    );
    expect(endpoints(snapshotFor(resources, caller("shop")), `outbound|8080||${FQDN}`)).toEqual([
      "10.0.0.1:8080",
    ]);
  });

  test("selects() takes an empty selector for nothing", () => {
    expect(selects({}, { app: "web" })).toBe(false);
    expect(selects(null, { app: "web" })).toBe(false);
    expect(selects({ app: "web" }, { app: "web" })).toBe(true);
    expect(selects({ toString: "x" }, {})).toBe(false);
  });

  test("a ServiceEntry is seen where exportTo says", () => {
    const entry = (exportTo: string) =>
      load(resource(
        "ServiceEntry shop/api",
        `{hosts: [api.example.com], exportTo: [${exportTo}], ` +
          "ports: [{number: 80, name: http, protocol: HTTP}]}",
      ));
    const sees = (exportTo: string, namespace: string) =>
      virtualHost(snapshotFor(entry(exportTo), caller(namespace)), "api.example.com:80") !== undefined;
    expect([sees("'.'", "shop"), sees("'.'", "other")]).toEqual([true, false]);
    expect([sees("other", "shop"), sees("other", "other")]).toEqual([false, true]);
    expect([sees("'*'", "shop"), sees("'*'", "other")]).toEqual([true, true]);
    expect([sees("'~'", "shop"), sees("'~'", "other")]).toEqual([false, false]);
  });

  test("of two services with one host the caller's own namespace wins", () => {
    const entry = (namespace: string, address: string) =>
      resource(
        `ServiceEntry ${namespace}/api`,
        "{hosts: [api.example.com], resolution: STATIC, " +
          `ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: ${address}}]}`,
      );
    const resources = load(entry("a", "10.0.0.1"), entry("b", "10.0.0.2"));
    const reached = ["a", "b", "c"].map((namespace) =>
      endpoints(snapshotFor(resources, caller(namespace)), "outbound|80||api.example.com")
    );
    expect(reached).toEqual([["10.0.0.1:80"], ["10.0.0.2:80"], ["10.0.0.1:80"]]);
  });

  test("two ServiceEntries of one namespace add up their ports for one host", () => {
    const entry = (name: string, port: number) =>
      resource(
        `ServiceEntry shop/${name}`,
        `{hosts: [api.example.com], ports: [{number: ${port}, name: http, ` +
          "protocol: HTTP}]}",
      );
    const snapshot = snapshotFor(load(entry("one", 80), entry("two", 8080)), caller("shop"));
    expect(virtualHost(snapshot, "api.example.com:80")?.domains).toContain("api.example.com");
    expect(virtualHost(snapshot, "api.example.com:8080")?.domains).toEqual(["api.example.com:8080"]);
  });

  test("a wildcard ServiceEntry with endpoints answers to its wildcard; one without leads to where requests want to go", () => {
    const entry = (rest: string) =>
      resource(
        "ServiceEntry shop/api",
        `{hosts: ['*.example.com'], ports: [{number: 80, name: http, ` +
          `protocol: HTTP}]${rest}}`,
      );
    const fixed = snapshotFor(
      load(entry(", resolution: STATIC, endpoints: [{address: 10.0.0.1}]")),
      caller("shop"),
    );
    expect(virtualHost(fixed, "*.example.com:80")?.domains).toEqual(["*.example.com", "*.example.com:80"]);
    expect(cluster(fixed, "outbound|80||*.example.com")).not.toHaveProperty("resolution");
    for (const resolution of ["NONE", "DYNAMIC_DNS"]) {
      const open = snapshotFor(load(entry(`, resolution: ${resolution}`)), caller("shop"));
      expect(virtualHost(open, "*.example.com:80")?.domains).toContain("*.example.com");
      expect(cluster(open, "outbound|80||*.example.com")?.resolution).toBe("AUTHORITY");
    }
  });

  test("no host of a wildcard is ejected for another that calls name", () => {
    const outlierOf = (resolution: string) => {
      const entry =
        `{hosts: ['*.example.com'], ports: [{number: 80, name: http, protocol: HTTP}], ${resolution}}`;
      const rule = "{host: '*.example.com', trafficPolicy: {outlierDetection: {}}}";
      const resources = load(
        resource("ServiceEntry shop/api", entry),
        resource("DestinationRule shop/api", rule),
      );
      return cluster(snapshotFor(resources, caller("shop")), "outbound|80||*.example.com")?.outlier;
    };
    expect(outlierOf("resolution: DYNAMIC_DNS")).toBeUndefined();
    expect(outlierOf("resolution: STATIC, endpoints: [{address: 10.0.0.1}]")).toBeDefined();
  });

  test.each(
    [
      ["{name: grpc, port: 8080}", "http2"],
      ["{name: grpc-api, port: 8080}", "http2"],
      ["{name: http2, port: 8080}", "http2"],
      ["{name: http2-x, port: 8080}", "http2"],
      ["{name: grpcx, port: 8080}", "http1"],
      ["{name: http, port: 8080}", "http1"],
      ["{name: tcp, port: 8080}", "http1"],
      ["{name: http, port: 8080, appProtocol: grpc}", "http2"],
      ["{name: http, port: 8080, appProtocol: kubernetes.io/h2c}", "http2"],
      ["{name: http, port: 8080, appProtocol: HTTP2}", "http2"],
      ["{name: grpc, port: 8080, appProtocol: http}", "http1"],
    ] as const,
  )("a port %s is spoken to in %s, from afar and by the own proxy", (port, protocol) => {
    const own = { ...caller("shop", { app: "web" }), name: "web" };
    const snapshot = snapshotFor(load(service("web", "shop", port)), own);
    expect(cluster(snapshot, `outbound|8080||${FQDN}`)?.protocol).toBe(protocol);
    const self = snapshot.get("proxy/self")?.body as ProxySettings;
    expect(self.inbound).toMatchObject([{ port: 8080, protocol }]);
  });

  test.each([["GRPC", "http2"], ["grpc", "http2"], ["HTTP2", "http2"], ["HTTP", "http1"], ["TCP", "http1"]])(
    "a ServiceEntry's port of %s is spoken to in %s",
    (declared, protocol) => {
      const spec = `{hosts: [api.example.com], ports: [{number: 80, name: any, protocol: ${declared}}]}`;
      const snapshot = snapshotFor(load(resource("ServiceEntry shop/api", spec)), caller("shop"));
      expect(cluster(snapshot, "outbound|80||api.example.com")?.protocol).toBe(protocol as "http1" | "http2");
    },
  );

  test("a port that carries TLS has a cluster, but is not routed by authority", () => {
    const spec = "{hosts: [api.example.com], ports: [{number: 443, name: tls, protocol: HTTPS}]}";
    const snapshot = snapshotFor(load(resource("ServiceEntry shop/api", spec)), caller("shop"));
    expect(virtualHost(snapshot, "api.example.com:443")).toBeUndefined();
    expect(cluster(snapshot, "outbound|443||api.example.com")).toBeDefined();
    expect(endpoints(snapshot, "outbound|443||api.example.com")).toEqual(["api.example.com:443"]);
  });
});
