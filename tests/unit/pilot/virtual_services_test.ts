import { describe, expect, test } from "bun:test";
import { NO_CONDITIONS } from "../../../src/model/route.ts";
import { caller, destinations, FQDN, load, resource, service, snapshotFor, virtualHost } from "./fixture.ts";

function virtualService(name: string, namespace: string, spec: string): string {
  return resource(`VirtualService ${namespace}/${name}`, spec);
}

/** A rule whose destination shows which rule it was. */
function to(subset: string, rest = ""): string {
  return `{route: [{destination: {host: ${FQDN}, subset: ${subset}}}]${rest}}`;
}

/** Clusters of the first destination of each route that a caller has for `web.shop` at a port. */
function routed(documents: string[], client = caller("shop"), name = `${FQDN}:8080`): string[] | undefined {
  const routes = virtualHost(snapshotFor(load(...documents), client), name)?.routes;
  return destinations(routes)?.map(([first]) => (first as string).replace(FQDN, "web"));
}

const DEFAULT = ["outbound|8080||web*100"];

describe("VirtualService", () => {
  test("a service without a rule gets a default route without an origin", () => {
    const routes = virtualHost(snapshotFor(load(service("web", "shop")), caller("shop")), `${FQDN}:8080`)
      ?.routes;
    expect(destinations(routes)).toEqual([[`outbound|8080||${FQDN}*100`]]);
    expect(routes?.[0]).toMatchObject({ name: "default", origin: null, matches: [] });
  });

  test("short names resolve with the rule's namespace, not the service's or the caller's", () => {
    const rule = virtualService(
      "r",
      "other",
      "{hosts: [web], http: [{route: [{destination: {host: web}}]}]}",
    );
    const documents = [service("web", "shop"), service("web", "other"), rule];
    expect(routed(documents)).toEqual(DEFAULT);
    const other = snapshotFor(load(...documents), caller("shop"));
    expect(virtualHost(other, "web.other.svc.cluster.local:8080")?.routes[0]?.origin?.virtualService).toBe(
      "other/r",
    );
  });

  test("hosts are compared in lower case", () => {
    const rule = virtualService("r", "shop", `{hosts: [WEB], http: [${to("a")}]}`);
    expect(routed([service("web", "shop"), rule])).toEqual(["outbound|8080|a|web*100"]);
  });

  test("an exact host beats a wildcard, and the longest wildcard the others", () => {
    const wide = virtualService("a-wide", "shop", `{hosts: ['*.cluster.local'], http: [${to("wide")}]}`);
    const narrow = virtualService(
      "b-narrow",
      "shop",
      `{hosts: ['*.shop.svc.cluster.local'], http: [${to("narrow")}]}`,
    );
    const exact = virtualService("c-exact", "shop", `{hosts: [web], http: [${to("exact")}]}`);
    const base = [service("web", "shop"), wide];
    expect(routed(base)).toEqual(["outbound|8080|wide|web*100"]);
    expect(routed([...base, narrow])).toEqual(["outbound|8080|narrow|web*100"]);
    expect(routed([...base, narrow, exact])).toEqual(["outbound|8080|exact|web*100"]);
  });

  test("a list of gateways without mesh is none of a sidecar's business", () => {
    const rule = (gateways: string) =>
      virtualService("r", "shop", `{hosts: [web], gateways: ${gateways}, http: [${to("a")}]}`);
    expect(routed([service("web", "shop"), rule("[front]")])).toEqual(DEFAULT);
    expect(routed([service("web", "shop"), rule("[front, mesh]")])).toEqual(["outbound|8080|a|web*100"]);
    expect(routed([service("web", "shop"), rule("[]")])).toEqual(["outbound|8080|a|web*100"]);
  });

  test("a match's gateways replace those of the rule", () => {
    const http = `[${to("a", ", match: [{gateways: [front]}]")}, ${
      to("b", ", match: [{gateways: [mesh]}]")
    }]`;
    const rule = virtualService("r", "shop", `{hosts: [web], gateways: [front, mesh], http: ${http}}`);
    expect(routed([service("web", "shop"), rule])).toEqual(["outbound|8080|b|web*100"]);
  });

  test("exportTo hides a rule from other namespaces", () => {
    const rule = virtualService("r", "shop", `{hosts: [web], exportTo: ['.'], http: [${to("a")}]}`);
    const documents = [service("web", "shop"), rule];
    expect(routed(documents, caller("shop"))).toEqual(["outbound|8080|a|web*100"]);
    expect(routed(documents, caller("other"))).toEqual(DEFAULT);
  });

  test("of several rules for one host the caller's namespace wins, then the service's, then the first", () => {
    const rule = (namespace: string) =>
      virtualService("r", namespace, `{hosts: [${FQDN}], http: [${to(namespace)}]}`);
    const documents = [service("web", "shop"), rule("a"), rule("b"), rule("shop")];
    expect(routed(documents, caller("b"))).toEqual(["outbound|8080|b|web*100"]);
    expect(routed(documents, caller("c"))).toEqual(["outbound|8080|shop|web*100"]);
    expect(routed(documents.slice(0, 3), caller("c"))).toEqual(["outbound|8080|a|web*100"]);
  });

  test("sourceLabels and sourceNamespace are decided when routes are built", () => {
    const http = [
      to("labelled", ", match: [{sourceLabels: {app: front, tier: one}, uri: {prefix: /x}}]"),
      to("spaced", ", match: [{sourceNamespace: other}]"),
      to("rest"),
    ];
    const documents = [
      service("web", "shop"),
      virtualService("r", "shop", `{hosts: [web], http: [${http}]}`),
    ];
    const labels = { app: "front", tier: "one", more: "x" };
    expect(routed(documents, caller("shop", labels))?.length).toBe(2);
    expect(routed(documents, caller("shop", { app: "front" }))).toEqual(["outbound|8080|rest|web*100"]);
    expect(routed(documents, caller("other"))).toEqual([
      "outbound|8080|spaced|web*100",
      "outbound|8080|rest|web*100",
    ]);
    const view = virtualHost(snapshotFor(load(...documents), caller("shop", labels)), `${FQDN}:8080`);
    expect(view?.routes[0]?.matches).toEqual([
      { ...NO_CONDITIONS, path: { type: "prefix", value: "/x" } },
    ]);
  });

  test("a rule that is all for other callers leaves the host its default route", () => {
    const rule = `{hosts: [web], http: [${to("a", ", match: [{sourceLabels: {app: front}}]")}]}`;
    expect(routed([service("web", "shop"), virtualService("r", "shop", rule)])).toEqual(DEFAULT);
  });

  test("match.port is decided per virtual host", () => {
    const ports = "{name: http, port: 8080}, {name: http-b, port: 81}";
    const rule = virtualService("r", "shop", `{hosts: [web], http: [${to("a", ", match: [{port: 81}]")}]}`);
    const documents = [service("web", "shop", ports), rule];
    expect(routed(documents)).toEqual(DEFAULT);
    expect(routed(documents, caller("shop"), `${FQDN}:81`)).toEqual(["outbound|81|a|web*100"]);
  });

  test("weights: a single destination gets everything, and weight 0 among several is dropped", () => {
    const weighted = (...weights: number[]) => {
      const list = weights.map((weight, index) =>
        `{destination: {host: web, subset: s${index}}, weight: ${weight}}`
      );
      const rule = virtualService("r", "shop", `{hosts: [web], http: [{route: [${list}]}]}`);
      const routes = virtualHost(
        snapshotFor(load(service("web", "shop"), rule), caller("shop")),
        `${FQDN}:8080`,
      )?.routes;
      return destinations(routes)?.[0]?.map((text) => text.replace(FQDN, "web"));
    };
    expect(weighted(0)).toEqual(["outbound|8080|s0|web*100"]);
    expect(weighted(7)).toEqual(["outbound|8080|s0|web*100"]);
    expect(weighted(1, 0, 3)).toEqual(["outbound|8080|s0|web*1", "outbound|8080|s2|web*3"]);
  });

  test("a destination without a port: the only one it has, else the port that was called", () => {
    const rule = virtualService("r", "shop", "{hosts: [web], http: [{route: [{destination: {host: api}}]}]}");
    const api = "api.shop.svc.cluster.local";
    expect(routed([service("web", "shop"), service("api", "shop", "{name: http, port: 9090}"), rule]))
      .toEqual([`outbound|9090||${api}*100`]);
    const two = "{name: http, port: 9090}, {name: http-b, port: 8080}";
    expect(routed([service("web", "shop"), service("api", "shop", two), rule])).toEqual([
      `outbound|8080||${api}*100`,
    ]);
    const explicit = rule.replace("host: api", "host: api, port: {number: 1234}");
    expect(routed([service("web", "shop"), service("api", "shop"), explicit])).toEqual([
      `outbound|1234||${api}*100`,
    ]);
  });

  test("a host that no service has is routed at port 80, and at the ports of the services beside it", () => {
    const lone = virtualService("r", "shop", `{hosts: [shop.example.com], http: [${to("a")}]}`);
    const snapshot = snapshotFor(load(service("web", "shop"), lone), caller("other"));
    expect(virtualHost(snapshot, "shop.example.com:80")?.domains).toEqual([
      "shop.example.com",
      "shop.example.com:80",
    ]);
    const beside = virtualService("r", "shop", `{hosts: [web, shop.example.com], http: [${to("a")}]}`);
    const both = snapshotFor(load(service("web", "shop"), beside), caller("other"));
    expect(virtualHost(both, "shop.example.com:80")).toBeUndefined();
    expect(virtualHost(both, "shop.example.com:8080")?.domains).toEqual(["shop.example.com:8080"]);
  });

  test("HTTP rules leave a TCP port alone", () => {
    const rule = virtualService("r", "shop", `{hosts: [web], http: [${to("a")}]}`);
    expect(routed([service("web", "shop", "{name: tcp-db, port: 8080}"), rule])).toEqual(DEFAULT);
    expect(routed([service("web", "shop", "{name: db, port: 8080}"), rule])).toEqual([
      "outbound|8080|a|web*100",
    ]);
  });
});
