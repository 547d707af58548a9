import { describe, expect, test } from "bun:test";
import type { Cluster, EndpointSet } from "../../../src/model/cluster.ts";
import {
  caller,
  cluster,
  endpoints,
  FQDN,
  load,
  meshConfig,
  resource,
  service,
  snapshotFor,
  workloadEntry,
} from "./fixture.ts";

function destinationRule(name: string, namespace: string, spec: string): string {
  return resource(`DestinationRule ${namespace}/${name}`, `{host: ${FQDN}, ${spec}}`);
}

function subset(name: string, rest = ""): string {
  return `{name: ${name}, labels: {version: ${name}}${rest}}`;
}

/** `SUBSET BALANCER` of each cluster of the service, the whole service as `-`. */
function clusters(documents: string[], client: string): string[] {
  const snapshot = snapshotFor(load(service("web", "shop"), ...documents), caller(client));
  return [...snapshot.values()].map(({ body }) => body).filter((body): body is Cluster =>
    body.kind === "cluster"
  )
    .map(({ subset, balancer }) => `${subset ?? "-"} ${balancer}`);
}

describe("DestinationRule", () => {
  test("without a rule there is one cluster, least request and ten seconds to connect", () => {
    const snapshot = snapshotFor(load(service("web", "shop")), caller("shop"));
    expect(cluster(snapshot, `outbound|8080||${FQDN}`)).toMatchObject({
      balancer: "LEAST_REQUEST",
      connectTimeoutMs: 10_000,
      subset: null,
    });
  });

  test("lookup: the client's namespace, then the service's, then the root; the first with any rule wins entirely", () => {
    const client = destinationRule("r", "front", `subsets: [${subset("a")}]`);
    const owner = destinationRule("r", "shop", `subsets: [${subset("b")}]`);
    const root = destinationRule("r", "istio-system", `subsets: [${subset("c")}]`);
    const stranger = destinationRule("r", "stranger", `subsets: [${subset("d")}]`);
    const names = (documents: string[]) =>
      clusters(documents, "front").map((text) => text.split(" ")[0] as string);
    expect(names([client, owner, root, stranger])).toEqual(["-", "a"]);
    expect(names([owner, root, stranger])).toEqual(["-", "b"]);
    expect(names([root, stranger])).toEqual(["-", "c"]);
    expect(names([stranger])).toEqual(["-"]);
  });

  test("a rule that is not exported is looked past, but never by its own namespace", () => {
    const owner = destinationRule("r", "shop", `exportTo: ['.'], subsets: [${subset("b")}]`);
    const root = destinationRule("r", "istio-system", `subsets: [${subset("c")}]`);
    expect(clusters([owner, root], "front").length).toBe(2);
    expect(clusters([owner, root], "front")[1]).toStartWith("c ");
    expect(clusters([owner, root], "shop")[1]).toStartWith("b ");
  });

  test("rules for one host in one namespace add up subsets; the first traffic policy and the first of a name count", () => {
    const random = "{loadBalancer: {simple: RANDOM}}";
    const robin = "{loadBalancer: {simple: ROUND_ROBIN}}";
    const first = destinationRule("a", "shop", `trafficPolicy: ${random}, subsets: [${subset("x")}]`);
    const second = destinationRule(
      "b",
      "shop",
      `trafficPolicy: ${robin}, subsets: [${subset("x", `, trafficPolicy: ${robin}`)}, ${subset("y")}]`,
    );
    expect(clusters([first, second], "shop")).toEqual(["- RANDOM", "x RANDOM", "y RANDOM"]);
  });

  test("a subset may ask for where endpoints stand, which their locality says", () => {
    const zones = "{name: z1, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: z1}}";
    const entry = (name: string, address: string, place: string) =>
      workloadEntry(name, "shop", `{address: ${address}, labels: {app: web}, locality: ${place}}`);
    const snapshot = snapshotFor(
      load(
        service("web", "shop"),
        entry("a", "10.0.0.1", "eu/z1"),
        entry("b", "10.0.0.2", "eu/z2"),
        entry("c", "10.0.0.3", "us/z1/r1"),
        destinationRule("r", "shop", `subsets: [${zones}]`),
      ),
      caller("shop"),
    );
    const set = snapshot.get(`endpoints/outbound|8080|z1|${FQDN}`)?.body as EndpointSet;
    expect(set.endpoints.map(({ address }) => address)).toEqual(["10.0.0.1"]);
  });

  test("a subset's policy overrides the rule's", () => {
    const own = subset("x", ", trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}");
    const rule = destinationRule(
      "r",
      "shop",
      `trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: [${own}]`,
    );
    expect(clusters([rule], "shop")).toEqual(["- RANDOM", "x ROUND_ROBIN"]);
  });

  test("a rule for the exact host beats one for a wildcard in the same namespace", () => {
    const wide = resource(
      "DestinationRule shop/a",
      `{host: '*.svc.cluster.local', subsets: [${subset("w")}]}`,
    );
    const exact = destinationRule("b", "shop", `subsets: [${subset("x")}]`);
    expect(clusters([wide], "shop")[1]).toStartWith("w ");
    expect(clusters([wide, exact], "shop").slice(1)).toEqual(["x LEAST_REQUEST"]);
  });

  test("the longest wildcard wins, and a namespace nearer to the client with a wildcard beats an exact host further on", () => {
    const wide = (name: string, namespace: string, host: string, label: string) =>
      resource(`DestinationRule ${namespace}/${name}`, `{host: '${host}', subsets: [${subset(label)}]}`);
    const short = wide("a", "shop", "*.cluster.local", "s");
    const long = wide("b", "shop", "*.shop.svc.cluster.local", "l");
    const exact = destinationRule("c", "shop", `subsets: [${subset("x")}]`);
    expect(clusters([short, long], "shop").slice(1)).toEqual(["l LEAST_REQUEST"]);
    expect(clusters([wide("n", "front", "*.local", "n"), exact], "front").slice(1)).toEqual([
      "n LEAST_REQUEST",
    ]);
  });

  test("a caller in the root namespace heeds the service's rules before those for everybody, but its private ones first", () => {
    const everybody = destinationRule("r", "istio-system", `subsets: [${subset("e")}]`);
    const owner = destinationRule("r", "shop", `subsets: [${subset("o")}]`);
    const own = destinationRule("p", "istio-system", `exportTo: ['.'], subsets: [${subset("p")}]`);
    const names = (documents: string[]) =>
      clusters(documents, "istio-system").slice(1).map((text) => text[0]);
    expect(names([everybody, owner])).toEqual(["o"]);
    expect(names([everybody])).toEqual(["e"]);
    expect(names([everybody, owner, own])).toEqual(["p"]);
  });

  test("the MeshConfig names the root namespace, and who sees rules that do not say so", () => {
    const root = destinationRule("r", "mesh-root", `subsets: [${subset("c")}]`);
    expect(clusters([root], "front")).toHaveLength(1);
    expect(clusters([root, meshConfig("{rootNamespace: mesh-root}")], "front")).toHaveLength(2);
    const owner = destinationRule("r", "shop", `subsets: [${subset("b")}]`);
    const local = meshConfig("{defaultDestinationRuleExportTo: ['.']}");
    expect(clusters([owner, local], "front")).toHaveLength(1);
    expect(clusters([owner, local], "shop")).toHaveLength(2);
    const open = destinationRule("r", "shop", `exportTo: ['*'], subsets: [${subset("b")}]`);
    expect(clusters([open, local], "front")).toHaveLength(2);
  });

  describe("workloadSelector", () => {
    const chosen = destinationRule(
      "a",
      "front",
      `workloadSelector: {matchLabels: {app: desk}}, subsets: [${subset("d")}]`,
    );
    const all = destinationRule("b", "front", `subsets: [${subset("a")}]`);
    const names = (documents: string[], namespace: string, labels: Record<string, string>) =>
      [...snapshotFor(load(service("web", "shop"), ...documents), caller(namespace, labels)).values()]
        .map(({ body }) => body.kind === "cluster" ? body.subset : null).filter((name) => name !== null);

    test("a rule that selects the caller goes before one for all", () => {
      expect(names([chosen, all], "front", { app: "desk", tier: "x" })).toEqual(["d"]);
      expect(names([chosen, all], "front", { app: "till" })).toEqual(["a"]);
    });

    test("one that selects others still wins its level, and says nothing", () => {
      const owner = destinationRule("r", "shop", `subsets: [${subset("o")}]`);
      expect(names([chosen, owner], "front", { app: "till" })).toEqual([]);
      expect(names([owner], "front", { app: "till" })).toEqual(["o"]);
    });

    test("a selector selects nobody of another namespace", () => {
      const foreign = destinationRule(
        "r",
        "shop",
        `workloadSelector: {matchLabels: {app: desk}}, subsets: [${subset("f")}]`,
      );
      expect(names([foreign], "front", { app: "desk" })).toEqual([]);
    });
  });

  test("a subset takes the workloads with its labels, and may be empty", () => {
    const rule = destinationRule("r", "shop", `subsets: [${subset("v1")}, ${subset("v9")}]`);
    const entry = (name: string, version: string, address: string) =>
      workloadEntry(name, "shop", `{address: ${address}, labels: {app: web, version: ${version}}}`);
    const documents = [
      service("web", "shop"),
      rule,
      entry("a", "v1", "10.0.0.1"),
      entry("b", "v2", "10.0.0.2"),
    ];
    const snapshot = snapshotFor(load(...documents), caller("shop"));
    expect(endpoints(snapshot, `outbound|8080|v1|${FQDN}`)).toEqual(["10.0.0.1:8080"]);
    expect(endpoints(snapshot, `outbound|8080|v9|${FQDN}`)).toEqual([]);
    expect(endpoints(snapshot, `outbound|8080||${FQDN}`)).toEqual(["10.0.0.1:8080", "10.0.0.2:8080"]);
  });
});
