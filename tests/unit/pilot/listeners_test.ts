/** What captured connections are told by: declared protocols, addresses, server names. */
import { describe, expect, test } from "bun:test";
import type { Listener, ProxySettings, Snapshot } from "../../../src/model/snapshot.ts";
import { caller, cluster, FQDN, load, resource, service, snapshotFor, workloadEntry } from "./fixture.ts";

function listener(snapshot: Snapshot, name: string): Listener | undefined {
  return snapshot.get(`listener/${name}`)?.body as Listener | undefined;
}

/** The listener of the first port of a Service that is written so. */
function ofService(ports: string, number = 8080): Listener | undefined {
  return listener(snapshotFor(load(service("web", "shop", ports)), caller("shop")), `${FQDN}:${number}`);
}

function ofEntry(spec: string, name: string): Listener | undefined {
  const resources = load(resource("ServiceEntry shop/entry", spec));
  return listener(snapshotFor(resources, caller("shop")), name);
}

describe("listenerOf()", () => {
  test.each([
    ["name: http", "http"],
    ["name: http-a", "http"],
    ["name: http2-a", "http"],
    ["name: grpc", "http"],
    ["name: grpc-web", "http"],
    ["name: grpc-web-a", "http"],
    ["name: https-a", "tls"],
    ["name: tls", "tls"],
    ["name: tcp-a", "tcp"],
    ["name: mongo", "tcp"],
    ["name: mysql-a", "tcp"],
    ["name: redis", "tcp"],
    ["name: postgres-a", "tcp"],
    ["name: web", "auto"],
    ["name: tcpish", "auto"],
    ["name: tcp-a, appProtocol: http", "http"],
    ["name: web, appProtocol: kubernetes.io/h2c", "http"],
    ["name: web, appProtocol: kubernetes.io/wss", "tls"],
    ["name: http, appProtocol: example.com/own", "auto"],
  ])("listenerOf() takes the protocol from {%s}: %s", (port, protocol) => {
    expect(ofService(`{${port}, port: 8080}`)?.protocol).toBe(protocol as Listener["protocol"]);
  });

  test.each([25, 53, 3306, 27017])(
    "listenerOf() takes port %i for TCP unless it says otherwise",
    (number) => {
      expect(ofService(`{name: web, port: ${number}}`, number)?.protocol).toBe("tcp");
      expect(ofService(`{name: http, port: ${number}}`, number)?.protocol).toBe("http");
    },
  );

  test("listenerOf() has the addresses of a Service, its names, and one route to all of it", () => {
    const text = service("web", "shop", "{name: tcp-a, port: 8080}")
      .replace("spec: {", 'spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "fd00::1"], ');
    const found = listener(snapshotFor(load(text), caller("shop")), `${FQDN}:8080`);
    expect(found).toEqual({
      kind: "listener",
      name: `${FQDN}:8080`,
      service: { host: FQDN, name: "web", namespace: "shop" },
      port: 8080,
      protocol: "tcp",
      addresses: ["10.96.0.1", "fd00::1"],
      serverNames: [FQDN, "web", "web.shop.svc", "web.shop"],
      routes: [{ origin: null, destinations: [{ cluster: `outbound|8080||${FQDN}`, weight: 100 }] }],
    });
  });

  test("listenerOf() needs no server names where requests are read, and no headless address", () => {
    expect(ofService("{name: http, port: 8080}")).toMatchObject({ serverNames: [], addresses: [] });
    const headless = service("web", "shop").replace("spec: {", "spec: {clusterIP: None, ");
    expect(headless).toContain("None");
    expect(listener(snapshotFor(load(headless), caller("shop")), `${FQDN}:8080`)?.addresses).toEqual([]);
  });

  test("listenerOf() has the addresses and networks of a ServiceEntry", () => {
    const spec = "{hosts: ['*.example.com'], addresses: [192.0.2.1, 198.51.100.0/24], ports: " +
      "[{number: 443, name: tls, protocol: TLS}]}";
    expect(ofEntry(spec, "*.example.com:443")).toMatchObject({
      protocol: "tls",
      addresses: ["192.0.2.1", "198.51.100.0/24"],
      serverNames: ["*.example.com"],
    });
  });

  test("listenerOf() stands for every address where a TCP ServiceEntry has none", () => {
    const spec = (rest: string) =>
      `{hosts: [db.example.com], ports: [{number: 5432, name: db, protocol: ${rest}}` + "]}";
    expect(ofEntry(spec("TCP"), "db.example.com:5432")?.addresses).toEqual(["0.0.0.0/0", "::/0"]);
    expect(ofEntry(spec("HTTP"), "db.example.com:5432")?.addresses).toEqual([]);
    const fixed = spec("TCP").replace("]}", "], resolution: STATIC, endpoints: [{address: 192.0.2.9}]}");
    expect(ofEntry(fixed, "db.example.com:5432")?.addresses).toEqual([]);
  });

  test("clusters say that captured bytes go on to where they were going", () => {
    const toOriginal = (rest: string) => {
      const spec = `{hosts: [db.example.com], ports: [{number: 5432, name: db, protocol: TCP}]${rest}}`;
      const snapshot = snapshotFor(load(resource("ServiceEntry shop/entry", spec)), caller("shop"));
      return cluster(snapshot, "outbound|5432||db.example.com")?.toOriginalDestination;
    };
    expect(toOriginal("")).toBe(true);
    expect(toOriginal(", resolution: STATIC, endpoints: [{address: 192.0.2.9}]")).toBeUndefined();
    expect(toOriginal(", workloadSelector: {labels: {app: db}}")).toBeUndefined();
  });

  test("the settings say what is declared of the workload's own ports", () => {
    const resources = load(
      service("web", "shop", "{name: tcp-a, port: 8080}, {name: web, port: 81}"),
      workloadEntry("web-1", "shop", "{address: 10.0.0.1, labels: {app: web}}"),
    );
    const snapshot = snapshotFor(resources, { ...caller("shop"), labels: { app: "web" } });
    const { inbound } = snapshot.get("proxy/self")?.body as ProxySettings;
    expect(inbound.map(({ port, declared }) => `${port} ${declared}`)).toEqual(["81 auto", "8080 tcp"]);
  });
});
