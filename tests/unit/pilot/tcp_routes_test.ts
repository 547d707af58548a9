/** The `tls` and `tcp` rules of VirtualServices, as the listeners of sidecars have them. */
import { describe, expect, test } from "bun:test";
import type { Listener, VirtualHost } from "../../../src/model/snapshot.ts";
import type { TcpRoute } from "../../../src/model/tcp_route.ts";
import { fileSnapshots } from "../../../src/pilot/translate.ts";
import { caller, load, resource, snapshotFor, TRUST_DOMAIN, workloadEntry } from "./fixture.ts";

const entry = (protocol: string) =>
  resource(
    "ServiceEntry shop/db",
    `{hosts: [db.test], ports: [{number: 443, name: p, protocol: ${protocol}}], resolution: STATIC, ` +
      "endpoints: [{address: 192.0.2.9}]}",
  );
const to = (host: string, port = 443) => `route: [{destination: {host: ${host}, port: {number: ${port}}}}]`;

/** `MATCHES -> CLUSTERS` of each route of db.test:443. */
function routes(protocol: string, rules: string, labels: Record<string, string> = {}): string[] {
  const resources = load(
    entry(protocol),
    resource("VirtualService shop/db", `{hosts: [db.test], ${rules}}`),
  );
  const snapshot = snapshotFor(resources, caller("shop", labels));
  const { routes } = snapshot.get("listener/db.test:443")?.body as Listener;
  return routes.map((route) => `${matchesOf(route)} -> ${clustersOf(route)}`);
}

function matchesOf({ matches = [] }: TcpRoute): string {
  return matches.map(({ serverNames, addresses }) => [...serverNames, ...addresses].join("+")).join(" or ") ||
    "all";
}

function clustersOf({ destinations }: Pick<TcpRoute, "destinations">): string {
  return destinations.map(({ cluster, weight }) => `${cluster.split("|").at(-1)}*${weight}`).join(" ");
}

const SERVICE = "all -> db.test*100";

/** `before RULE: WHY` of each rule that was left out, as people who ask are told. */
function skipped(protocol: string, ...specs: string[]): string[] {
  const resources = load(
    entry(protocol),
    workloadEntry("web", "shop", "{address: 192.0.2.1}"),
    ...specs.map((spec, index) => resource(`VirtualService shop/db${index}`, spec)),
  );
  const listener = fileSnapshots(resources, TRUST_DOMAIN)("shop/web")?.get("listener/db.test:443")?.body;
  return ((listener as Listener).skipped ?? []).map(({ before, origin: { virtualService, rule }, why }) =>
    `${before} ${virtualService} ${rule}: ${why}`
  );
}

describe("tcpRoutesOf()", () => {
  test("rules of tls go by server name, and leave nothing for other names", () => {
    expect(routes("TLS", `tls: [{match: [{sniHosts: [db.test]}], ${to("a.test")}}]`)).toEqual([
      "db.test -> a.test*100",
    ]);
  });

  test("rules of tls say nothing of a port that carries TCP", () => {
    expect(routes("TCP", `tls: [{match: [{sniHosts: [db.test]}], ${to("a.test")}}]`)).toEqual([SERVICE]);
  });

  test("rules of tls for another port, gateway or caller leave the service as it is", () => {
    for (const other of ["port: 444", "gateways: [edge]", "sourceLabels: {app: x}", "sourceNamespace: web"]) {
      const rule = `tls: [{match: [{sniHosts: [db.test], ${other}}], ${to("a.test")}}]`;
      expect(routes("TLS", rule)).toEqual([SERVICE]);
    }
    const rule = `tls: [{match: [{sniHosts: [db.test], sourceLabels: {app: x}}], ${to("a.test")}}]`;
    expect(routes("TLS", rule, { app: "x" })).toEqual(["db.test -> a.test*100"]);
  });

  test("rules of tcp by network leave the other addresses to the service", () => {
    expect(routes("TCP", `tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], ${to("a.test")}}]`)).toEqual([
      "10.0.0.0/8 -> a.test*100",
      SERVICE,
    ]);
  });

  test("of rules of tcp one that takes everything is the last", () => {
    const rules = `tcp: [{match: [{port: 443}], ${to("a.test")}}, {${to("b.test")}}]`;
    expect(routes("TCP", rules)).toEqual(["all -> a.test*100"]);
  });

  test("weights are kept among several, and one of 0 takes its destination out", () => {
    const rule = "tcp: [{route: [{destination: {host: a.test}, weight: 3}, " +
      "{destination: {host: b.test}, weight: 0}, {destination: {host: c.test}, weight: 1}]}]";
    expect(routes("TCP", rule)).toEqual(["all -> a.test*3 c.test*1"]);
  });
});

describe("requests that ask for a port of TCP without a tunnel", () => {
  /** `AUTHORITIES -> CLUSTERS` of each route of db.test:443, and `before RULE: WHY` of each rule left out. */
  function requests(rules: string, labels = "{}"): string[] {
    const resources = load(
      resource(
        "ServiceEntry shop/db",
        "{hosts: [db.test], addresses: [10.0.0.1, 'fd00::1'], ports: [{number: 443, name: p, protocol: TCP}], " +
          "resolution: STATIC, endpoints: [{address: 192.0.2.9}]}",
      ),
      workloadEntry("web", "shop", `{address: 192.0.2.1, labels: ${labels}}`),
      resource("VirtualService shop/db", `{hosts: [db.test], ${rules}}`),
    );
    const { routes, skipped = [] } = fileSnapshots(resources, TRUST_DOMAIN)("shop/web")
      ?.get("virtualHost/db.test:443")?.body as VirtualHost;
    const led = routes.map(({ matches, action }) => {
      const asked = matches.map(({ authority }) => authority?.type === "exact" ? authority.value : "").join(
        " or ",
      );
      return `${asked || "all"} -> ${action.type === "forward" ? clustersOf(action) : ""}`;
    });
    return [...led, ...skipped.map(({ before, origin: { rule }, why }) => `${before} ${rule}: ${why}`)];
  }

  test("are led by the rules for bytes, and by none for requests", () => {
    const weighted =
      "tcp: [{route: [{destination: {host: a.test}, weight: 1}, {destination: {host: b.test}, weight: 3}]}]";
    expect(requests(`${weighted}, http: [{${to("c.test")}}]`)).toEqual(["all -> a.test*1 b.test*3"]);
    expect(requests(`http: [{${to("c.test")}}]`)).toEqual([SERVICE]);
  });

  test("name an address that rules ask for, or are for others", () => {
    const at = (network: string) => `match: [{destinationSubnets: ["${network}"]}]`;
    expect(
      requests(
        `tcp: [{match: [{sourceLabels: {app: x}}], ${to("x.test")}}, {${at("10.0.0.0/8")}, ${
          to("a.test")
        }}, ` +
          `{${at("192.168.0.0/16")}, ${to("b.test")}}, {${at("fd00::/8")}, ${to("c.test")}}]`,
      ),
    ).toEqual([
      "10.0.0.1:443 -> a.test*100",
      "[fd00::1]:443 -> c.test*100",
      SERVICE,
      '0 0: it is for callers whose label app is "x", and the caller has no such label',
      "1 2: it is for the addresses 192.168.0.0/16, and a request names none of them",
    ]);
  });
});

describe("rules that are left out", () => {
  const names = (more = "") => `match: [{sniHosts: [db.test]${more}}], ${to("a.test")}`;

  test("are told with the reason, and with where they would stand", () => {
    const spec = `{hosts: [db.test], tls: [{${names()}}, {${names(", port: 444")}}], ` +
      `tcp: [{match: [{sourceLabels: {app: x}}], ${to("b.test")}}, {${to("c.test")}}, {${to("d.test")}}]}`;
    expect(skipped("TLS", spec)).toEqual([
      "1 shop/db0 1: it is for port 444, and this is port 443",
      '1 shop/db0 0: it is for callers whose label app is "x", and the caller has no such label',
    ]);
  });

  test("are those of tls where the port carries none, and all of a VirtualService that has no say", () => {
    expect(
      skipped(
        "TCP",
        `{hosts: [db.test], tls: [{${names()}}]}`,
        `{hosts: [db.test], tcp: [{${to("b.test")}}]}`,
      ),
    )
      .toEqual([
        "0 shop/db1 0: the host has one VirtualService for a caller, which is shop/db0",
        "0 shop/db0 0: it is for server names, and the port is not declared to carry TLS",
      ]);
  });
});
