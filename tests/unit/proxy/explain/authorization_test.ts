/** What `explain` says of the policies of those who are called. */
import { describe, expect, test } from "bun:test";
import type { Snapshot } from "../../../../src/model/snapshot.ts";
import { fileSnapshots } from "../../../../src/pilot/translate.ts";
import { explain } from "../../../../src/proxy/explain/explain.ts";
import { pathFormOf, readExplainRequest } from "../../../../src/proxy/explain/request.ts";
import { load, meshConfig, resource, service, workloadEntry } from "../../pilot/fixture.ts";

const entry = (name: string, app: string, n: number) =>
  workloadEntry(
    name,
    "shop",
    `{address: 10.0.0.${n}, labels: {app: ${app}, n: '${n}'}, serviceAccount: ${app}}`,
  );

const policy = (name: string, spec: string) => resource(`AuthorizationPolicy shop/${name}`, spec);

function authorization(url: string, ...documents: string[]) {
  const base = [
    service("web", "shop"),
    entry("web-1", "web", 1),
    entry("web-2", "web", 2),
    entry("me", "me", 3),
  ];
  const snapshotOf = fileSnapshots(load(...base, ...documents), "cluster.local");
  const snapshot = snapshotOf("shop/me");
  if (snapshot === undefined) throw new Error("There is no such workload");
  return explain(snapshot, readExplainRequest("GET", url, []), snapshotOf).explanation.authorization;
}

const URL = "http://web:8080/admin;x";

describe("explainAuthorization()", () => {
  test("names the rule that decided, and where it is written", () => {
    const web = "selector: {matchLabels: {app: web}}";
    const deny = policy("d", `{${web}, action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}`);
    expect(authorization(URL, deny)).toEqual({
      decision: "deny",
      policy: "shop/d",
      rule: 0,
      file: "test.yaml",
      line: 9,
      reason: "rule 0 of AuthorizationPolicy shop/d (test.yaml:9) denies it",
      trace: [
        {
          policy: "shop/d",
          action: "DENY",
          rule: 0,
          file: "test.yaml",
          line: 9,
          matched: true,
          why: "all of it holds",
        },
      ],
    });
    expect(authorization("http://web:8080/", deny)).toMatchObject({
      decision: "allow",
      policy: null,
      reason: "no policy of shop/web-1 denies it",
    });
    const allow = policy("a", `{${web}, rules: [{from: [{source: {principals: ['*/sa/me']}}]}]}`);
    expect(authorization(URL, allow)).toMatchObject({ decision: "allow", policy: "shop/a", rule: 0 });
  });

  test("a path has the form that the mesh asks for, also after a rewrite", () => {
    const explained = (normalization: string) => {
      const mesh = meshConfig(`{pathNormalization: {normalization: ${normalization}}}`);
      const rewriting = resource(
        "VirtualService shop/v",
        "{hosts: [web], http: [{match: [{uri: {prefix: /a}}], rewrite: {uri: /b/}, " +
          "route: [{destination: {host: web}}]}]}",
      );
      const documents = [service("web", "shop"), entry("me", "me", 3), mesh, rewriting];
      const snapshotOf = fileSnapshots(load(...documents), "cluster.local");
      const snapshot = snapshotOf("shop/me");
      if (snapshot === undefined) throw new Error("There is no such workload");
      const request = readExplainRequest("GET", "http://web:8080/a//c", [], { form: pathFormOf(snapshot) });
      return explain(snapshot, request, snapshotOf).explanation.rewrite?.path;
    };
    expect(["DEFAULT", "BASE"].map(explained)).toEqual(["/b/c", "/b///c"]);
  });

  test.each([
    ["{uri: /b%2F}", "escaped_slash"],
    ["{uriRegexRewrite: {match: a, rewrite: b}}", "too_many_matches"],
  ])("a rewrite %s that leads to no path is answered by the proxy", (rewrite, why) => {
    const rewriting = resource(
      "VirtualService shop/v",
      `{hosts: [web], http: [{rewrite: ${rewrite}, route: [{destination: {host: web}}]}]}`,
    );
    const documents = [service("web", "shop"), entry("me", "me", 3), rewriting];
    const snapshotOf = fileSnapshots(load(...documents), "cluster.local");
    const request = readExplainRequest("GET", `http://web:8080/${"a".repeat(1_000)}`, []);
    const { explanation, notes } = explain(snapshotOf("shop/me") as Snapshot, request, snapshotOf);
    expect(explanation).toMatchObject({
      action: "direct-response",
      directResponse: { status: 400 },
      destinations: [],
    });
    expect(notes.map(({ text }) => text).join()).toContain(why);
  });

  test("a request to a port that carries bytes has no path, and is judged as any bytes", () => {
    const bytes = service("bytes", "shop", "{name: tcp, port: 9000}").replace("app: bytes", "app: web");
    const web = "selector: {matchLabels: {app: web}}";
    const paths = (action: string) =>
      policy("p", `{${web}, action: ${action}, rules: [{to: [{operation: {paths: [/x]}}]}]}`);
    for (const path of ["/x", "/y"]) {
      expect(authorization(`http://bytes:9000${path}`, bytes, paths("ALLOW"))?.decision).toBe("deny");
      expect(authorization(`http://bytes:9000${path}`, bytes, paths("DENY"))?.decision).toBe("deny");
    }
    expect(authorization("http://web:8080/x", bytes, paths("ALLOW"))?.decision).toBe("allow");
  });

  test("says when nothing allows, when endpoints differ, and when nothing is asked", () => {
    expect(authorization(URL, policy("a", "{}"))).toEqual({
      decision: "deny",
      policy: null,
      reason: "no policy allows it that selects shop/web-1, and some policy must",
      trace: [
        {
          policy: "shop/a",
          action: "ALLOW",
          rule: null,
          file: "test.yaml",
          line: 9,
          matched: false,
          why: "it has no rules, so it never matches",
        },
      ],
    });
    const one = policy("d", "{selector: {matchLabels: {n: '2'}}, action: DENY, rules: [{}]}");
    expect(authorization(URL, one).reason).toEndWith("denies it, at 1 of 2 endpoints");
    expect(authorization(URL).reason).toBe("no policy selects the workload");
  });

  test("says who is asked first, and that a provider that there is not denies", () => {
    const mesh = meshConfig(
      "{extensionProviders: [{name: guard, " +
        "envoyExtAuthzHttp: {service: web.shop.svc.cluster.local, port: 8080}}]}",
    );
    const ask = policy("c", "{action: CUSTOM, provider: {name: guard}, rules: [{}]}");
    expect(authorization(URL, mesh, ask)).toMatchObject({
      decision: "allow",
      reason: "guard is asked first (rule 0 of AuthorizationPolicy shop/c (test.yaml:11)); " +
        "no policy of shop/web-1 denies it",
    });
    expect(authorization(URL, ask)).toMatchObject({ decision: "deny", policy: "shop/c" });
  });

  test("says of each rule that was passed over which test of it fails", () => {
    const why = (...rules: string[]) =>
      authorization(URL, policy("d", `{action: DENY, rules: [${rules.join(", ")}]}`)).trace
        ?.map(({ matched, why }) => matched ? true : why);
    const source = (text: string) => `{from: [{source: {${text}}}]}`;
    const operation = (text: string) => `{to: [{operation: {${text}}}]}`;
    const when = (key: string) => `{when: [{key: '${key}', values: [a, b, c, d, e, f, g]}]}`;
    expect(why(
      source("principals: ['*/sa/other'], ipBlocks: [10.0.0.3]"),
      source("notServiceAccounts: [me]"),
      source("ipBlocks: [10.0.1.0/24], remoteIpBlocks: [10.0.0.3]"),
      operation("ports: ['90']"),
      operation("hosts: [shop.test]"),
      operation("notMethods: [GET]"),
      "{from: [{source: {principals: [a]}}, {source: {namespaces: [b]}}, {source: {principals: [a]}}]}",
      when("request.headers[x-user]"),
      when("request.auth.claims[group]"),
      operation("paths: [/admin]"),
      operation("methods: [HEAD]"),
    )).toEqual([
      'source.principal has to be */sa/other, and it is "cluster.local/ns/shop/sa/me"',
      'source.serviceAccount must not be shop/me, and it is "shop/me"',
      'source.ip has to be 10.0.1.0/24, and it is "10.0.0.3"',
      'destination.port has to be 90, and it is "8080"',
      'the host has to be shop.test, and it is "web:8080"',
      'the method must not be GET, and it is "GET"',
      'source.principal has to be a, and it is "cluster.local/ns/shop/sa/me"; nor: ' +
      'source.namespace has to be b, and it is "shop"',
      "request.headers[x-user] has to be a or b or c or d or e or 2 others, and it is not there",
      "request.auth.claims[group] has to be a or b or c or d or e or 2 others, and no token was verified",
      true,
    ]);
  });

  test("asks of the request as it arrives: rewritten, and with its headers edited", () => {
    const rewriting = resource(
      "VirtualService shop/v",
      "{hosts: [web], http: [{rewrite: {uri: /b}, headers: {request: {set: {x-a: b}}}, " +
        "route: [{destination: {host: web}}]}]}",
    );
    const when = "when: [{key: 'request.headers[x-a]', values: [b]}]";
    const deny = policy("d", `{action: DENY, rules: [{to: [{operation: {paths: [/b]}}], ${when}}]}`);
    expect(authorization("http://web:8080/", rewriting, deny).decision).toBe("deny");
    expect(authorization("http://web:8080/", deny).decision).toBe("allow");
  });
});
