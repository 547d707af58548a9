/** Which policies and modes of mutual TLS a proxy is told. */
import { describe, expect, test } from "bun:test";
import type { EndpointSet } from "../../../src/model/cluster.ts";
import type { ProxySettings } from "../../../src/model/snapshot.ts";
import { fileWorkloads } from "../../../src/pilot/file_workloads.ts";
import { World } from "../../../src/pilot/world.ts";
import { caller, load, meshConfig, resource, service, workloadEntry } from "./fixture.ts";

const authorization = (name: string, namespace: string, spec: string, metadata = "") =>
  resource(`AuthorizationPolicy ${namespace}/${name}`, spec, metadata);
const peers = (name: string, namespace: string, spec: string) =>
  resource(`PeerAuthentication ${namespace}/${name}`, spec);

const BASE = [
  service("web", "shop"),
  workloadEntry("web-1", "shop", "{address: 10.0.0.1, labels: {app: web}, serviceAccount: web}"),
];

function worldOf(documents: readonly string[], previous: World | null = null): World {
  const resources = load(...BASE, ...documents);
  const workloads = fileWorkloads(resources.workloadEntries);
  return new World({ resources, workloads, trustDomain: "mesh.test" }, previous);
}

function settingsIn(world: World, labels: Record<string, string> = { app: "web" }): ProxySettings {
  return world.view(caller("shop", labels)).self.body as ProxySettings;
}

const settingsOf = (...documents: string[]) => settingsIn(worldOf(documents));

describe("PolicyCatalogue", () => {
  test("policies of the root namespace and of the own one select by labels", () => {
    const all = [
      authorization("a", "shop", "{}"),
      authorization("b", "shop", "{selector: {matchLabels: {app: web}}}"),
      authorization("c", "shop", "{selector: {matchLabels: {app: api}}}"),
      authorization("d", "istio-system", "{action: DENY}", "annotations: {istio.io/dry-run: 'true'}"),
      authorization("e", "other", "{}"),
    ];
    const { policies } = settingsOf(...all);
    expect(policies?.map(({ name, action, dryRun }) => [name, action, dryRun])).toEqual([
      ["istio-system/d", "DENY", true],
      ["shop/a", "ALLOW", undefined],
      ["shop/b", "ALLOW", undefined],
    ]);
    expect(settingsOf().policies).toBeUndefined();
  });

  test("a principal with one name of the trust domain means it with any", () => {
    const mesh = meshConfig("{trustDomain: mesh.test, trustDomainAliases: [old.test]}");
    const principals = "[old.test/ns/x/sa/y, other.test/ns/x/sa/y, '*/ns/x/sa/z', '*', mesh.test/ns/x/*]";
    const rules = `{rules: [{from: [{source: {principals: ${principals}}}]}]}`;
    const settings = settingsOf(mesh, authorization("a", "shop", rules));
    expect(settings.trustDomainAliases).toEqual(["old.test"]);
    expect(settings.policies?.[0]?.rules[0]?.sources).toEqual([[{
      attribute: "source.principal",
      values: [
        ...["old.test/ns/x/sa/y", "mesh.test/ns/x/sa/y", "other.test/ns/x/sa/y", "*/ns/x/sa/z", "*"],
        ...["mesh.test/ns/x/*", "old.test/ns/x/*"],
      ],
    }]]);
  });

  test("rules say what Istio's fields say, with namespaces, trust domains and lines settled", () => {
    const rules =
      "{from: [{source: {serviceAccounts: [a, x/b]}}, {source: {principals: [cluster.local/ns/x/sa/y]}}], " +
      "to: [{operation: {methods: [GET], notPaths: [/a]}}], when: [{key: 'request.headers[X-A]', notValues: [b]}]}";
    const { policies } = settingsOf(authorization("a", "shop", `{rules: [${rules}]}`));
    expect(policies?.[0]?.rules).toEqual([{
      line: 5,
      sources: [
        [{ attribute: "source.serviceAccount", values: ["shop/a", "x/b"] }],
        [{ attribute: "source.principal", values: ["cluster.local/ns/x/sa/y", "mesh.test/ns/x/sa/y"] }],
      ],
      operations: [[{ attribute: "method", values: ["GET"] }, { attribute: "path", notValues: ["/a"] }]],
      conditions: [{ attribute: "header", header: "x-a", notValues: ["b"] }],
    }]);
  });

  test("rules about tokens are those of every RequestAuthentication that selects, with Istio's defaults", () => {
    const tokens = (name: string, namespace: string, spec: string) =>
      resource(`RequestAuthentication ${namespace}/${name}`, spec);
    const own = "selector: {matchLabels: {app: web}}";
    const { jwtRules = [] } = settingsOf(
      tokens("a", "shop", "{jwtRules: [{issuer: 'https://a.test'}]}"),
      tokens(
        "b",
        "shop",
        `{${own}, jwtRules: [{issuer: b, jwksUri: 'https://b.test/keys', audiences: [x], fromCookies: [sid], ` +
          "timeout: 2s, forwardOriginalToken: true, outputPayloadToHeader: X-Payload, " +
          "outputClaimToHeaders: [{header: X-Group, claim: realm.group}], spaceDelimitedClaims: [roles]}]}",
      ),
      tokens("c", "shop", "{selector: {matchLabels: {app: api}}, jwtRules: [{issuer: 'https://c.test'}]}"),
      tokens("d", "istio-system", "{jwtRules: [{issuer: 'https://d.test'}]}"),
      tokens("e", "other", "{jwtRules: [{issuer: 'https://e.test'}]}"),
    );
    expect(jwtRules.map(({ name }) => name)).toEqual(["istio-system/d", "shop/a", "shop/b"]);
    expect(jwtRules[1]).toMatchObject({
      keys: { type: "discovery" },
      headers: [{ name: "authorization", prefix: "Bearer " }],
      ...{ params: ["access_token"], cookies: [], audiences: [], forwards: false, timeoutMs: 5_000 },
    });
    expect(jwtRules[2]).toMatchObject({
      keys: { type: "url", url: "https://b.test/keys" },
      ...{ headers: [], params: [], cookies: ["sid"], audiences: ["x"], forwards: true, timeoutMs: 2_000 },
      payloadHeader: "x-payload",
      claimHeaders: [{ header: "x-group", claim: "realm.group" }],
      spaceDelimited: ["roles"],
    });
    expect(settingsOf().jwtRules).toBeUndefined();
  });

  test("a rule about a token asks for its claims, by their keys", () => {
    const rules = "{from: [{source: {requestPrincipals: ['*']}}], when: " +
      "[{key: 'request.auth.claims[a.b][c]', values: [x]}, {key: request.auth.audiences, notValues: [y]}]}";
    const { policies } = settingsOf(authorization("a", "shop", `{rules: [${rules}]}`));
    expect(policies?.[0]?.rules[0]).toMatchObject({
      sources: [[{ attribute: "request.auth.principal", values: ["*"] }]],
      conditions: [
        { attribute: "request.auth.claims", claim: ["a.b", "c"], values: ["x"] },
        { attribute: "request.auth.audiences", notValues: ["y"] },
      ],
    });
  });

  test("the workload's own PeerAuthentication goes before its namespace's, and that before the mesh's", () => {
    const strictAt = (...documents: string[]) => {
      const { inbound, mtls } = settingsOf(...documents);
      return [inbound[0]?.mtls, mtls?.mode, mtls?.exceptPorts];
    };
    const mesh = peers("m", "istio-system", "{mtls: {mode: STRICT}}");
    const space = peers("n", "shop", "{mtls: {mode: PERMISSIVE}}");
    const own = (spec: string) => peers("w", "shop", `{selector: {matchLabels: {app: web}}, ${spec}}`);
    expect(strictAt()).toEqual([undefined, undefined, undefined]);
    expect(strictAt(mesh)).toEqual(["strict", "strict", []]);
    expect(strictAt(mesh, space)).toEqual([undefined, undefined, undefined]);
    expect(strictAt(mesh, peers("n", "shop", "{mtls: {mode: UNSET}}"))).toEqual(["strict", "strict", []]);
    expect(strictAt(space, own("mtls: {mode: STRICT}"))).toEqual(["strict", "strict", []]);
    expect(strictAt(space, own("portLevelMtls: {'8080': {mode: STRICT}}"))).toEqual(["strict", "permissive", [
      8080,
    ]]);
    expect(strictAt(mesh, own("portLevelMtls: {'8080': {mode: PERMISSIVE}}"))).toEqual([undefined, "strict", [
      8080,
    ]]);
    expect(strictAt(mesh, own("portLevelMtls: {'8080': {mode: UNSET}}"))).toEqual(["strict", "strict", []]);
    const second = peers("z", "shop", "{mtls: {mode: STRICT}}");
    expect(strictAt(space, second)).toEqual([undefined, undefined, undefined]);
  });

  test("DISABLE is called in plain text, from the edit on and until it is taken back", () => {
    const disabled = peers("n", "shop", "{mtls: {mode: DISABLE}}");
    const meshPort = (world: World) => {
      const key = "endpoints/outbound|8080||web.shop.svc.cluster.local";
      const { endpoints } = world.view(caller("shop")).shared.get(key)?.body as EndpointSet;
      return endpoints[0]?.meshPort;
    };
    const before = worldOf([]);
    expect(meshPort(before)).toBe(15008);
    const during = worldOf([disabled], before);
    expect(meshPort(during)).toBeNull();
    expect(meshPort(worldOf([], during))).toBe(15008);
  });

  test("a world that follows keeps the settings of namespaces whose policies stay", () => {
    const workload = caller("shop", { app: "web" });
    const far = caller("far");
    const resources = (spec: string) => load(...BASE, authorization("a", "shop", spec));
    const world = (spec: string, previous: World | null) =>
      new World(
        { resources: resources(spec), workloads: [workload, far], trustDomain: "mesh.test" },
        previous,
      );
    const before = world("{}", null);
    const [own, other] = [before.view(workload), before.view(far)];
    const after = world("{action: DENY}", before);
    expect(after.view(far).self).toBe(other.self);
    expect(after.view(workload).self.version).not.toBe(own.self.version);
    expect(after.view(workload).shared).toBe(own.shared);
  });
});
