/** Gateways and the VirtualServices that name them, as the gateways that they select have them. */
import { describe, expect, test } from "bun:test";
import type { CertificateSource, GatewayListener } from "../../../src/model/gateway_listener.ts";
import type { Snapshot } from "../../../src/model/snapshot.ts";
import type { MeshWorkload } from "../../../src/pilot/file_workloads.ts";
import { caller, destinations, load, resource, service, snapshotFor, virtualHost } from "./fixture.ts";

const EDGE: MeshWorkload = { ...caller("edge", { istio: "edge" }), hasSidecar: false, role: "gateway" };

function gateway(servers: string, name = "main", selector = "{istio: edge}"): string {
  return resource(`Gateway edge/${name}`, `{selector: ${selector}, servers: [${servers}]}`);
}

const http = (hosts: string, number = 80) =>
  `{port: {number: ${number}, name: http-${number}-${hosts.length}, protocol: HTTP}, hosts: [${hosts}]}`;

/** In the namespace shop, for edge/main. */
function rule(name: string, spec: string, namespace = "shop"): string {
  return resource(`VirtualService ${namespace}/${name}`, `{gateways: [edge/main], ${spec}}`);
}

const to = (host: string) => `route: [{destination: {host: ${host}}}]`;
const WEB = "outbound|8080||web.shop.svc.cluster.local";

function snapshot(...documents: string[]): Snapshot {
  return snapshotFor(load(service("web", "shop"), service("api", "shop"), ...documents), EDGE);
}

function names(of: Snapshot): string[] {
  return [...of.keys()].filter((key) => key !== "proxy/self").sort();
}

function listener(of: Snapshot, name: string): GatewayListener | undefined {
  return of.get(`gatewayListener/${name}`)?.body as GatewayListener | undefined;
}

describe("a gateway's snapshot", () => {
  test("has the ports and hosts of the Gateways that select it, and no cluster besides those in use", () => {
    const found = snapshot(
      gateway(http("web.test")),
      gateway(http("other.test", 81), "other", "{istio: other}"),
      rule("web", `hosts: [web.test], http: [{${to("web")}}]`),
    );
    expect(names(found)).toEqual([
      `cluster/${WEB}`,
      `endpoints/${WEB}`,
      "gatewayListener/:80",
      "virtualHost/http.:80|web.test",
    ]);
    expect(listener(found, ":80")).toEqual({
      kind: "gatewayListener",
      name: ":80",
      bind: null,
      port: 80,
      chains: [{ serverNames: [], tls: null, table: "http.:80", routes: [] }],
    });
    expect(virtualHost(found, "http.:80|web.test")).toMatchObject({
      table: "http.:80",
      domains: ["web.test"],
      service: { host: "web.test", namespace: "shop" },
    });
  });

  test("has the hosts that both a server and a VirtualService have, the narrower of two", () => {
    const hostsOf = (served: string, routed: string, namespace = "shop") =>
      names(
        snapshot(gateway(http(served)), rule("web", `hosts: [${routed}], http: [{${to("web")}}]`, namespace)),
      )
        .filter((key) => key.startsWith("virtualHost/")).map((key) => key.split("|")[1]);
    expect(hostsOf('"*.test"', "web.test")).toEqual(["web.test"]);
    expect(hostsOf("web.test", '"*.test"')).toEqual(["web.test"]);
    expect(hostsOf('"*"', '"*.test"')).toEqual(["*.test"]);
    expect(hostsOf("web.test", "other.test")).toEqual([]);
    expect(hostsOf("shop/web.test", "web.test")).toEqual(["web.test"]);
    expect(hostsOf("shop/web.test", "web.test", "other")).toEqual([]);
    expect(hostsOf("./web.test", "web.test")).toEqual([]);
    expect(hostsOf("./web.test", "web.test", "edge")).toEqual(["web.test"]);
  });

  test("merges VirtualServices for one host, and what takes everything comes last", () => {
    const found = snapshot(
      gateway(http("web.test")),
      rule("a", `hosts: [web.test], http: [{${to("web")}}, {match: [{uri: {exact: /a}}], ${to("api")}}]`),
      rule("b", `hosts: [web.test], http: [{match: [{uri: {prefix: /b}}], ${to("api")}}]`),
    );
    const { routes } = virtualHost(found, "http.:80|web.test") ?? {};
    expect(routes?.map(({ origin }) => `${origin?.virtualService} ${origin?.rule}`)).toEqual([
      "shop/a 1",
      "shop/b 0",
      "shop/a 0",
    ]);
  });

  test("has a delegate's rules in each of its places, and those of two servers once", () => {
    const at = (path: string) => `{match: [{uri: {prefix: ${path}}}], delegate: {name: leaf}}`;
    const leaf = resource("VirtualService shop/leaf", `{http: [{${to("web")}}]}`);
    const paths = (...documents: string[]) =>
      virtualHost(snapshot(leaf, ...documents), "http.:80|web.test")?.routes
        .map(({ matches }) =>
          matches.map(({ path }) => path !== null && "value" in path ? path.value : "any")
        );
    const root = (gateways: string) =>
      resource(
        "VirtualService shop/root",
        `{gateways: [${gateways}], hosts: [web.test], http: [${at("/a")}, ${at("/b")}, {${to("web")}}]}`,
      );
    expect(paths(gateway(http("web.test")), root("edge/main"))).toEqual([["/a"], ["/b"], []]);
    const both = [gateway(http("web.test")), gateway(http('"*.test"'), "other")];
    expect(paths(...both, root("edge/main, edge/other"))).toEqual([["/a"], ["/b"], []]);
    const apart = "match: [{gateways: [edge/main], uri: {prefix: /a}}, " +
      "{gateways: [edge/other], uri: {prefix: /b}}]";
    const rules = resource(
      "VirtualService shop/root",
      `{gateways: [edge/main, edge/other], hosts: [web.test], http: [{${apart}, ${to("web")}}]}`,
    );
    expect(paths(...both, rules)).toEqual([["/a"], ["/b"]]);
  });

  test("leaves out rules for other gateways, ports, and the mesh", () => {
    const match = (condition: string) => `{match: [{${condition}}], ${to("api")}}`;
    const found = snapshot(
      gateway(http("web.test")),
      resource(
        "VirtualService shop/web",
        `{gateways: [mesh, edge/main], hosts: [web.test], http: [${match("gateways: [mesh]")}, ` +
          `${match("port: 81")}, ${match("sourceLabels: {istio: other}")}, ` +
          `{match: [{gateways: [edge/main], port: 80, sourceLabels: {istio: edge}}], ${to("web")}}]}`,
      ),
    );
    expect(destinations(virtualHost(found, "http.:80|web.test")?.routes)).toEqual([[`${WEB}*100`]]);
  });

  test("redirects hosts to HTTPS whether or not something is routed there", () => {
    const server = "{port: {number: 80, name: http, protocol: HTTP}, hosts: [web.test, bare.test], " +
      "tls: {httpsRedirect: true}}";
    const found = snapshot(gateway(server), rule("web", `hosts: [web.test], http: [{${to("web")}}]`));
    for (const host of ["web.test", "bare.test"]) {
      expect(virtualHost(found, `http.:80|${host}`)?.requiresTls).toBe(true);
    }
  });

  test.each<[string, CertificateSource, CertificateSource]>([
    [
      "credentialNames: [rsa, ec]",
      { type: "credential", name: "rsa", withRoots: true },
      { type: "credential", name: "ec", withRoots: false },
    ],
    [
      "caCertificates: /a, tlsCertificates: [{serverCertificate: /rsa, privateKey: /k}, " +
      "{serverCertificate: /ec, privateKey: /l}]",
      { type: "files", chain: "/rsa", key: "/k", roots: "/a" },
      { type: "files", chain: "/ec", key: "/l", roots: null },
    ],
  ])("has both certificates of a server, and roots with the first: %s", (written, first, second) => {
    const server =
      `{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.test], tls: {mode: MUTUAL, ${written}}}`;
    const { certificate, otherCertificate } = listener(snapshot(gateway(server)), ":443")?.chains[0]?.tls ??
      {};
    expect([certificate, otherCertificate]).toEqual([first, second]);
  });

  test("chooses a chain for each server of TLS, with its certificate or none", () => {
    const files = "serverCertificate: /c, privateKey: /k";
    const server = (name: string, hosts: string, tls: string, protocol = "HTTPS") =>
      `{port: {number: 443, name: ${name}, protocol: ${protocol}}, hosts: [${hosts}], tls: {${tls}}}`;
    const found = snapshot(
      gateway([
        server("a", "a.test", `mode: SIMPLE, ${files}`),
        server("b", '"*.b.test"', "mode: MUTUAL, credentialName: b, minProtocolVersion: TLSV1_3"),
        server("c", "c.test", "mode: PASSTHROUGH", "TLS"),
        server(
          "e",
          "e.test",
          `mode: MUTUAL, ${files}, caCertificates: /a, caCrl: /l, verifyCertificateHash: [${
            "0a".repeat(32)
          }], ` +
            "cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]",
        ),
        server("d", "d.test", "mode: ISTIO_MUTUAL", "TLS"),
      ].join(", ")),
      rule("c", `hosts: [c.test], tls: [{match: [{sniHosts: [c.test]}], ${to("web")}}]`),
      rule("d", `hosts: [d.test], tcp: [{match: [{port: 443}], ${to("web")}}]`),
    );
    const { chains = [] } = listener(found, ":443") ?? {};
    expect(chains.map(({ serverNames, table }) => [serverNames[0], table])).toEqual([
      ["a.test", "https.443.a.main.edge"],
      ["*.b.test", "https.443.b.main.edge"],
      ["c.test", null],
      ["e.test", "https.443.e.main.edge"],
      ["d.test", null],
    ]);
    const shared = { subjectAltNames: [], minVersion: "TLSv1.2", maxVersion: "TLSv1.3" } as const;
    const chain = { type: "files", chain: "/c", key: "/k", roots: null } as const;
    const credential = { type: "credential", name: "b", withRoots: true } as const;
    expect(chains.map(({ tls }) => tls)).toEqual([
      { ...shared, clients: "anonymous", certificate: chain },
      { ...shared, clients: "required", certificate: credential, minVersion: "TLSv1.3" },
      null,
      {
        ...shared,
        clients: "required",
        certificate: { ...chain, roots: "/a", crl: "/l" },
        pins: { certificates: ["0a".repeat(32)], publicKeys: [] },
        ciphers: ["ECDHE-RSA-AES128-GCM-SHA256"],
      },
      { ...shared, clients: "mesh", certificate: null },
    ]);
    expect(chains.map(({ routes }) => routes.map(({ matches }) => matches?.length))).toEqual([
      [],
      [],
      [1],
      [],
      [
        0,
      ],
    ]);
  });

  test("has no virtual host of the mesh, no port of its own, and lets nobody pass", () => {
    const found = snapshot(gateway(http("web.test")));
    expect(names(found)).toEqual(["gatewayListener/:80"]);
    expect(found.get("proxy/self")?.body).toMatchObject({ inbound: [] });
  });
});

describe("a sidecar's snapshot", () => {
  test("has nothing of Gateways, nor of VirtualServices for them alone", () => {
    const resources = load(
      service("web", "shop"),
      gateway(http("web.test")),
      rule("web", `hosts: [web.test], http: [{${to("web")}}]`),
    );
    const found = snapshotFor(resources, caller("edge", { istio: "edge" }));
    expect(names(found).filter((key) => key.includes("web.test") || key.startsWith("gateway"))).toEqual([]);
  });
});
