import { describe, expect, test } from "bun:test";
import type { ResourceSet } from "../../../src/config/resource.ts";
import { fileWorkloads } from "../../../src/pilot/file_workloads.ts";
import { World } from "../../../src/pilot/world.ts";
import { caller, load, meshConfig, resource, service, workloadEntry } from "./fixture.ts";

const WEB = "outbound|8080||web.shop.svc.cluster.local";
const RULE = resource(
  "VirtualService shop/r",
  "{hosts: [web], http: [{route: [{destination: {host: web}}]}]}",
);
const entry = (address: string) =>
  workloadEntry("web-1", "shop", `{address: ${address}, labels: {app: web}}`);
const BASE = [service("web", "shop"), service("api", "shop"), RULE];

function worldOf(
  resources: ResourceSet,
  previous: World | null = null,
  workloads = fileWorkloads(resources.workloadEntries),
): World {
  return new World({ resources, workloads, trustDomain: "t" }, previous);
}

describe("World", () => {
  test("World shares one view among callers that see the same, and bodies among those that do not", () => {
    const world = worldOf(load(...BASE, entry("10.0.0.1")));
    const [one, two, far] = [caller("shop", { app: "a" }), caller("shop", { app: "b" }), caller("far")].map((
      proxy,
    ) => world.view(proxy));
    expect(one?.shared).toBe(two?.shared as never);
    expect(one?.shared).not.toBe(far?.shared as never);
    expect(one?.shared.get(`cluster/${WEB}`)).toBe(far?.shared.get(`cluster/${WEB}`) as never);
    expect(one?.shared.get(`endpoints/${WEB}`)).toBe(far?.shared.get(`endpoints/${WEB}`) as never);
  });

  test("World keeps what it compiled when a new generation moves workloads only", () => {
    const before = worldOf(load(...BASE, entry("10.0.0.1")));
    const first = before.view(caller("shop"));
    const second = worldOf(load(...BASE, entry("10.0.0.2")), before).view(caller("shop"));
    const changed = [...second.shared].filter(([key, resource]) => first.shared.get(key) !== resource);
    expect(changed.map(([key]) => key)).toEqual([`endpoints/${WEB}`]);
  });

  test("World keeps what it compiled when the mesh says something else of the proxies alone", () => {
    const mesh = (spec: string) => meshConfig(`{${spec}}`);
    const proxy = caller("shop");
    const resources = load(...BASE, entry("10.0.0.1"));
    const workloads = fileWorkloads(resources.workloadEntries);
    let world = worldOf(resources, null, workloads);
    const first = world.view(proxy);
    const after = (spec: string) => {
      world = worldOf(load(...BASE, entry("10.0.0.1"), mesh(spec)), world, workloads);
      return world.view(proxy);
    };
    for (
      const spec of [
        "outboundTrafficPolicy: {mode: REGISTRY_ONLY}",
        "pathNormalization: {normalization: NONE}",
        "protocolDetectionTimeout: 2s",
        "trustDomainAliases: [old.local]",
        "defaultConfig: {gatewayTopology: {numTrustedProxies: 1}}",
      ]
    ) {
      const { shared, self } = after(spec);
      expect([spec, shared === first.shared, self.version === first.self.version]).toEqual([
        spec,
        true,
        false,
      ]);
    }
    expect(after("connectTimeout: 3s").shared).not.toBe(first.shared as never);
  });

  test("World keeps who is called in plain text where policies of another kind change", () => {
    const policy = (kind: string, spec: string) => resource(`${kind} shop/all`, `{${spec}}`);
    const plain = [...BASE, entry("10.0.0.1"), policy("PeerAuthentication", "mtls: {mode: DISABLE}")];
    const resources = load(...plain);
    const workloads = fileWorkloads(resources.workloadEntries);
    const before = worldOf(resources, null, workloads);
    const first = before.view(caller("shop")).shared;
    const denied = worldOf(load(...plain, policy("AuthorizationPolicy", "")), before, workloads);
    expect(denied.view(caller("shop")).shared).toBe(first as never);
  });

  test("World makes endpoints anew only where workloads are called in plain text that were not, or no longer", () => {
    const mode = (said: string) => resource("PeerAuthentication far/all", `{mtls: {mode: ${said}}}`);
    const others = [
      service("api", "far"),
      workloadEntry("api-1", "far", "{address: 10.0.0.3, labels: {app: api}}"),
    ];
    const files = (said: string) => load(...BASE, entry("10.0.0.1"), ...others, mode(said));
    const resources = files("STRICT");
    const workloads = fileWorkloads(resources.workloadEntries).map((one) => ({ ...one, hasSidecar: true }));
    let world = worldOf(resources, null, workloads);
    const [web, api] = [`endpoints/${WEB}`, "endpoints/outbound|8080||api.far.svc.cluster.local"] as const;
    const after = (said: string) => {
      world = worldOf(files(said), world, workloads);
      const { shared } = world.view(caller("shop"));
      return [shared.get(web), shared.get(api)] as const;
    };
    const [mesh, plain] = [{ endpoints: [{ meshPort: 15_008 }] }, { endpoints: [{ meshPort: null }] }];
    const strict = after("STRICT");
    expect(strict[1]?.body).toMatchObject(mesh);
    const disabled = after("DISABLE");
    expect(disabled[1]?.body).toMatchObject(plain);
    const permissive = after("PERMISSIVE");
    expect(permissive[1]?.body).toMatchObject(mesh);
    for (const [same] of [disabled, permissive]) expect(same).toBe(strict[0] as never);
    expect(after("STRICT")[1]).toBe(permissive[1] as never);
  });

  test("World compiles anew when a rule moves to another line, since routes name it", () => {
    const before = worldOf(load(...BASE));
    const key = "virtualHost/web.shop.svc.cluster.local:8080";
    const first = before.view(caller("shop")).shared.get(key);
    const moved = worldOf(load("# a comment", ...BASE), before).view(caller("shop")).shared.get(key);
    expect(first?.body).toMatchObject({ routes: [{ origin: { line: 5 } }] });
    expect(moved?.body).toMatchObject({ routes: [{ origin: { line: 7 } }] });
  });

  test("World follows a change of an annotation, of labels and of a selector", () => {
    const before = worldOf(load(...BASE, entry("10.0.0.1")));
    before.view(caller("far"));
    const hidden = load(...BASE, entry("10.0.0.1").replace("app: web", "app: api"));
    const moved = worldOf(hidden, before).view(caller("far")).shared;
    expect(moved.get(`endpoints/${WEB}`)?.body).toMatchObject({ endpoints: [] });
    const annotated = BASE.map((text) =>
      text.replace(
        "namespace: shop}",
        "namespace: shop, annotations: " +
          "{networking.istio.io/exportTo: '., friend'}}",
      )
    );
    const world = worldOf(load(...annotated), before);
    expect(world.view(caller("far")).shared.size).toBe(1);
    expect(world.view(caller("friend")).shared.has(`cluster/${WEB}`)).toBe(true);
  });

  test.each([
    ["a Sidecar", resource("Sidecar shop/default", "{egress: [{hosts: ['far/*']}]}")],
    [
      "a rule that asks for a label that none has asked for",
      resource(
        "VirtualService shop/z",
        "{exportTo: ['.'], hosts: [api], http: [{match: [{sourceLabels: {tier: gold}}], " +
          "route: [{destination: {host: web}}]}]}",
      ),
    ],
  ])("World leaves what others see as it is when %s of one namespace comes and goes", (_what, document) => {
    const callers = [caller("far"), caller("shop"), caller("shop", { tier: "gold" })];
    const sharedIn = (world: World) => callers.map((proxy) => world.view(proxy).shared);
    const without = worldOf(load(...BASE));
    const first = sharedIn(without);
    const having = worldOf(load(...BASE, document), without);
    const second = sharedIn(having);
    const third = sharedIn(worldOf(load(...BASE), having));
    expect(second[0]).toBe(first[0] as never);
    expect(third[0]).toBe(first[0] as never);
    expect(second[2]).not.toBe(first[2] as never);
    expect(third[2]).toEqual(first[2] as never);
    // Whose view is not divided by it follows as well.
    expect(third[1]).toEqual(first[1] as never);
  });

  test("World tells gateways apart by labels for which DestinationRules ask alone", () => {
    const documents = [
      ...BASE,
      resource(
        "Gateway shop/g",
        "{selector: {}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}",
      ),
      resource(
        "VirtualService shop/g",
        "{gateways: [g], hosts: [web], http: [{route: [{destination: {host: web}}]}]}",
      ),
      resource(
        "DestinationRule shop/d",
        "{workloadSelector: {matchLabels: {tier: gold}}, host: web, " +
          "trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}}",
      ),
    ];
    const world = worldOf(load(...documents));
    const clusterOf = (labels: Record<string, string>) =>
      world.view({ ...caller("shop", labels), role: "gateway" }).shared.get(`cluster/${WEB}`)?.version;
    const plain = clusterOf({});
    expect(plain).toBeString();
    expect(clusterOf({ tier: "gold" })).not.toBe(plain as never);
  });
});
