/** The rules of policies, one by one: what they match, and what nobody gets past them with. */
import { describe, expect, test } from "bun:test";
import type { Policy, PolicyRule, PolicyTest } from "../../../../src/model/policy.ts";
import { type RequestAuth, requestAuthOf } from "../../../../src/proxy/jwt/request_auth.ts";
import { PolicyCall, policyPeer } from "../../../../src/proxy/policy/policy_call.ts";
import { BOUND_RULES_MAX, PolicyTable } from "../../../../src/proxy/policy/policy_table.ts";
import { PolicyCounts } from "../../../../src/telemetry/policy_counts.ts";
import { requestHead } from "../request_head.ts";

const HERE = { address: "10.0.0.1", port: 8080 };
const ANN = policyPeer("spiffe://mesh.test/ns/shop/sa/ann", "10.0.0.9");
const TOKEN = requestAuthOf({
  ...{ iss: "iss", sub: "sub", aud: ["one", "two"], azp: "app", group: "staff", groups: ["a", "b"] },
  ...{ scope: "read write", roles: "one  two", note: "one two", realm: { roles: ["x"] } },
  ...{ level: 3, admin: true, empty: "", nothing: null },
}, ["roles"]);
const NOBODY = policyPeer(null, "192.0.2.7");

interface Asked {
  readonly peer?: typeof ANN;
  readonly path?: string;
  readonly method?: string;
  readonly authority?: string;
  readonly headers?: string[];
  readonly auth?: RequestAuth;
  readonly tcp?: true;
  readonly behindClient?: number | null;
}

function rule(parts: Partial<PolicyRule>): PolicyRule {
  return { line: 1, sources: [], operations: [], conditions: [], ...parts };
}

function policy(
  action: Policy["action"],
  rules: readonly Partial<PolicyRule>[],
  more: Partial<Policy> = {},
): Policy {
  return { name: "shop/p", action, file: "p.yaml", line: 1, rules: rules.map(rule), ...more };
}

function decide(policies: readonly Policy[], asked: Asked = {}, counts = new PolicyCounts()): string {
  const { peer = ANN, path = "/", method = "GET", authority = "web", headers = [], auth, tcp } = asked;
  const { behindClient } = asked;
  const token = auth === undefined ? {} : { auth };
  const head = requestHead({ method, authority, path, headers, ...token });
  const table = new PolicyTable(policies, counts);
  const bound = table.bind(peer, HERE, tcp ? "tcp" : "http");
  return bound.decide(new PolicyCall(peer, HERE, tcp ? null : head, behindClient)).allowed ? "allow" : "deny";
}

const when = (test: PolicyTest): Partial<PolicyRule> => ({ conditions: [test] });
const to = (...tests: PolicyTest[]): Partial<PolicyRule> => ({ operations: [tests] });
const DENY = (test: PolicyTest) => [policy("DENY", [when(test)])];
const ALLOW = (test: PolicyTest) => [policy("ALLOW", [when(test)])];
const paths = (...values: string[]): PolicyTest => ({ attribute: "path", values });

describe("PolicyTable", () => {
  test("DENY goes before ALLOW, and who is not allowed is refused where anything allows", () => {
    const get: PolicyTest = { attribute: "method", values: ["GET"] };
    expect(decide([])).toBe("allow");
    expect(decide([policy("ALLOW", [])])).toBe("deny");
    expect(decide([policy("ALLOW", [{}])])).toBe("allow");
    expect(decide([policy("DENY", [])])).toBe("allow");
    expect(decide([policy("DENY", [{}])])).toBe("deny");
    expect(decide([policy("AUDIT", [{}])])).toBe("allow");
    expect(decide([...ALLOW(get), ...DENY(get)])).toBe("deny");
    expect(decide(ALLOW(get), { method: "PUT" })).toBe("deny");
    expect(decide([...ALLOW(get), policy("ALLOW", [{}])], { method: "PUT" })).toBe("allow");
  });

  test("sources are alternatives, their tests are not, and notX negates", () => {
    const principal = (...values: string[]): PolicyTest => ({ attribute: "source.principal", values });
    const method = (...values: string[]): PolicyTest => ({ attribute: "method", values });
    const sources = [[principal("mesh.test/ns/a/sa/b")], [principal("mesh.test/ns/shop/sa/*")]];
    expect(decide([policy("DENY", [{ sources }])])).toBe("deny");
    expect(decide([policy("DENY", [{ sources }])], { peer: NOBODY })).toBe("allow");
    expect(decide([policy("DENY", [to(method("GET"), paths("/a"))])])).toBe("allow");
    expect(decide([policy("DENY", [to(method("GET"), paths("/"))])])).toBe("deny");
    const notAnn: PolicyTest = { attribute: "source.principal", notValues: ["*/sa/ann"] };
    expect(decide(DENY(notAnn))).toBe("allow");
    expect(decide(DENY(notAnn), { peer: NOBODY })).toBe("deny");
  });

  test.each(
    [
      ["source.principal", ["mesh.test/ns/shop/sa/ann", "mesh.test/*", "*/ann", "*"], [
        "mesh_test/ns/shop/sa/ann",
      ]],
      ["source.namespace", ["shop", "sh*", "*op", "*"], ["sho", "Shop"]],
      ["source.serviceAccount", ["shop/ann"], ["ann", "shop/*x"]],
      ["source.trustDomain", ["mesh.test", "*"], ["mesh"]],
      ["source.ip", ["10.0.0.9", "10.0.0.0/24"], ["10.0.1.0/24", "::1"]],
      ["destination.ip", ["10.0.0.1"], ["10.0.0.9"]],
      ["destination.port", ["8080"], ["80", "80800"]],
      ["request.auth.principal", ["iss/sub", "iss/*", "*/sub", "*"], ["iss", "sub"]],
      ["request.auth.audiences", ["one", "two", "t*", "*"], ["one,two", "three"]],
      ["request.auth.presenter", ["app", "*"], ["iss"]],
    ] as [PolicyTest["attribute"], string[], string[]][],
  )("%s takes what it should, and nothing else", (attribute, good, bad) => {
    for (const value of good) {
      expect([value, decide(DENY({ attribute, values: [value] }), { auth: TOKEN })]).toEqual([value, "deny"]);
    }
    for (const value of bad) {
      expect([value, decide(DENY({ attribute, values: [value] }), { auth: TOKEN })]).toEqual([
        value,
        "allow",
      ]);
    }
  });

  test("who proved nothing matches no pattern of identities, not even *", () => {
    for (const attribute of ["source.principal", "source.namespace", "source.serviceAccount"] as const) {
      expect(decide(ALLOW({ attribute, values: ["*"] }), { peer: NOBODY })).toBe("deny");
    }
  });

  test("without a token a policy that asks for one never allows, and one that refuses whoever has none does", () => {
    const attributes = [
      ...["request.auth.principal", "request.auth.audiences"] as const,
      ...["request.auth.presenter", "request.auth.claims"] as const,
    ];
    for (const attribute of attributes) {
      expect(decide(ALLOW({ attribute, values: ["*"] }))).toBe("deny");
      expect(decide(DENY({ attribute, values: ["*"] }))).toBe("allow");
      expect(decide(DENY({ attribute, notValues: ["*"] }))).toBe("deny");
    }
    const nobody = requestAuthOf({ iss: "iss" }, []);
    expect(decide(ALLOW({ attribute: "request.auth.principal", values: ["*"] }), { auth: nobody })).toBe(
      "deny",
    );
  });

  test.each(
    [
      [["group"], "staff", true],
      [["group"], "admin", false],
      [["groups"], "b", true],
      [["groups"], "a,b", false],
      [["scope"], "write", true],
      [["scope"], "read write", false],
      [["roles"], "two", true],
      [["note"], "two", false],
      [["note"], "one two", true],
      [["realm", "roles"], "x", true],
      [["realm"], "*", false],
      [["level"], "3", true],
      [["admin"], "true", true],
      [["nothing"], "*", false],
      [["empty"], "*", false],
      [["toString"], "*", false],
      [["groups", "length"], "*", false],
      [["group", "0"], "*", false],
    ] as [string[], string, boolean][],
  )("the claim %p is %p: %p", (claim, value, holds) => {
    const test: PolicyTest = { attribute: "request.auth.claims", claim, values: [value] };
    expect(decide(DENY(test), { auth: TOKEN })).toBe(holds ? "deny" : "allow");
    expect(decide(ALLOW(test), { auth: TOKEN })).toBe(holds ? "allow" : "deny");
  });

  test.each([
    ["/admin", "/admin", true],
    ["/admin", "/admin?x", true],
    ["/admin", "/admin/", false],
    ["/admin", "/admin;a=b", true],
    ["/admin", "/admin%3Ba=b", true],
    ["/a/admin", "/a;x/admin;y", true],
    ["/admin*", "/administrator", true],
    ["*/admin", "/x/admin;y", true],
    ["/a/{*}/c", "/a/b/c", true],
    ["/a/{*}/c", "/a//c", false],
    ["/a/{*}/c", "/a/b/d/c", false],
    ["/a/{*}", "/a/*", true],
    ["/a/{**}", "/a/", true],
    ["/a/{**}", "/a/b/c", true],
    ["/a/{**}", "/a", false],
    ["/a/{**}/c", "/a/b/b/c", true],
    ["/a/{**}/c", "/a/b/b", false],
    ["/a.b", "/axb", false],
    ["/%7euser", "/~user", true],
    ["/café", "/caf%C3%A9", true],
    ["*", "/", true],
  ])("the path %p takes %p: %p", (pattern, path, matches) => {
    expect(decide(DENY(paths(pattern)), { path })).toBe(matches ? "deny" : "allow");
    expect(decide([policy("DENY", [to(paths(pattern))])], { path })).toBe(matches ? "deny" : "allow");
  });

  test("a path that was not brought into its form is refused by either form, and allowed by both", () => {
    for (const path of ["//admin", "/x/../admin", "/%61dmin", "/x\\..\\admin", "//admin;x"]) {
      expect([path, decide(DENY(paths("/admin")), { path })]).toEqual([path, "deny"]);
      expect([path, decide(ALLOW(paths("/x*", "//*", "/%*")), { path })]).toEqual([path, "deny"]);
    }
  });

  test("a path with parameters is allowed only if it is without them, too", () => {
    expect(decide(ALLOW(paths("/public*")), { path: "/public;x=1" })).toBe("allow");
    expect(decide(ALLOW(paths("/admin;x")), { path: "/admin;x" })).toBe("deny");
    expect(decide(ALLOW({ attribute: "path", notValues: ["/admin"] }), { path: "/admin;x" })).toBe("deny");
  });

  test.each([
    ["secret.com", "SECRET.com", true],
    ["secret.com", "secret.com.", true],
    ["secret.com", "secret.com:8080", true],
    ["Secret.com", "secret.com.:8080", true],
    ["*.com", "secret.com:8080", true],
    ["secret.com:8080", "secret.com", false],
    ["secret.com:8080", "secret.com:08080", true],
    ["secret.com:8080", "secret.com.:8080", true],
    ["secret.com:*", "secret.com:8080", true],
    ["secret.com", "secretxcom", false],
  ])("the host %p takes %p: %p", (pattern, authority, matches) => {
    const test: PolicyTest = { attribute: "host", values: [pattern] };
    expect(decide(DENY(test), { authority })).toBe(matches ? "deny" : "allow");
  });

  test("a field that came twice refuses by any of its values, and allows by all of them and their list", () => {
    const role = (...values: string[]): PolicyTest => ({ attribute: "header", header: "x-role", values });
    const twice = ["x-role", "user", "x-role", "admin"];
    for (const headers of [twice, ["x-role", "user,admin"], ["x-role", "admin"], ["x-role", "user, admin"]]) {
      expect(decide(DENY(role("admin")), { headers })).toBe("deny");
      expect(decide(ALLOW(role("user")), { headers })).toBe("deny");
      const notAdmin: PolicyTest = { attribute: "header", header: "x-role", notValues: ["admin"] };
      expect(decide(ALLOW(notAdmin), { headers })).toBe("deny");
    }
    expect(decide(ALLOW(role("user")), { headers: ["x-role", "user"] })).toBe("allow");
    // The list alone begins as it should, or ends so.
    for (const pattern of ["us*", "*min"]) {
      expect(decide(ALLOW(role(pattern)), { headers: twice })).toBe("deny");
    }
    expect(decide(ALLOW(role("us*")), { headers: ["x-role", "user", "x-role", "usher"] })).toBe("allow");
    expect(decide(ALLOW(role("Mozilla*")), { headers: ["x-role", "Mozilla (KHTML, like Gecko)"] })).toBe(
      "allow",
    );
    expect(decide(DENY(role("*")), { headers: ["x-role", ""] })).toBe("deny");
    expect(decide(ALLOW(role("*")), { headers: ["x-role", ""] })).toBe("deny");
  });

  test("the name that TLS asked for is compared without regard to case, and is told apart by connections", () => {
    const name: PolicyTest = { attribute: "connection.sni", values: ["A.test", "*.b.test"] };
    const from = (serverName: string) => policyPeer(null, "192.0.2.7", serverName);
    const table = new PolicyTable(DENY(name), new PolicyCounts());
    const allowed = (serverName: string, protocol: "http" | "tcp") =>
      table.bind(from(serverName), HERE, protocol).decide(new PolicyCall(from(serverName), HERE, null))
        .allowed;
    for (const protocol of ["http", "tcp"] as const) {
      expect(["a.test", "x.b.test", "b.test", ""].map((one) => allowed(one, protocol)))
        .toEqual([false, false, true, true]);
    }
    expect(decide(ALLOW(name))).toBe("deny");
  });

  test("x-forwarded-for counts where a proxy brings it, and its last entry", () => {
    const remote: PolicyTest = { attribute: "remote.ip", values: ["203.0.113.0/24"] };
    const headers = ["x-forwarded-for", "10.1.1.1, 203.0.113.5"];
    expect(decide(ALLOW(remote), { headers })).toBe("allow");
    expect(decide(ALLOW(remote), { headers: ["x-forwarded-for", "203.0.113.5, 10.1.1.1"] })).toBe("deny");
    expect(decide(ALLOW(remote), { headers, peer: NOBODY })).toBe("deny");
    expect(decide(ALLOW(remote), { headers: ["x-forwarded-for", "nonsense"] })).toBe("deny");
    const others = ["x-forwarded-for", "10.1.1.1, 203.0.113.5, 10.1.1.2"];
    expect([0, 1, 2, 3, null].map((behindClient) => decide(ALLOW(remote), { headers: others, behindClient })))
      .toEqual(["deny", "allow", "deny", "deny", "deny"]);
  });

  test("of bytes a rule that allows by what HTTP has never does, and one that refuses refuses more", () => {
    const port: PolicyTest = { attribute: "destination.port", values: ["8080"] };
    const mixed = to(port, paths("/admin"));
    expect(decide([policy("ALLOW", [mixed])], { tcp: true })).toBe("deny");
    expect(decide([policy("ALLOW", [to(port)])], { tcp: true })).toBe("allow");
    expect(decide([policy("DENY", [mixed])], { tcp: true })).toBe("deny");
    expect(decide([policy("DENY", [to({ ...port, values: ["1"] }, paths("/a"))])], { tcp: true })).toBe(
      "allow",
    );
    const principal: PolicyTest = { attribute: "source.principal", values: ["*/ns/foo/*"] };
    expect(decide(ALLOW(principal), { tcp: true })).toBe("deny");
  });

  test("decisions are counted by policy, rule and action; policies on trial decide nothing", () => {
    const counts = new PolicyCounts();
    const trial = { name: "shop/trial", dryRun: true } as const;
    const all = [policy("DENY", [when(paths("/a")), when(paths("/b"))]), policy("DENY", [{}], trial)];
    expect(decide(all, { path: "/b" }, counts)).toBe("deny");
    expect(decide(all, { path: "/c" }, counts)).toBe("allow");
    expect(decide([policy("ALLOW", [])], {}, counts)).toBe("deny");
    expect(counts.takeReport()).toEqual([
      { policy: "shop/p", rule: "1", action: "deny", count: 1 },
      { policy: "shop/trial", rule: "0", action: "dry-run-deny", count: 2 },
      { policy: "none", rule: "none", action: "deny", count: 1 },
    ]);
    expect(counts.takeReport()).toEqual([]);
    const sum = new PolicyCounts();
    sum.absorb({ policy: "shop/p", rule: "1", action: "deny", count: 3 });
    expect(sum.samples()[0]).toMatchObject({
      value: 3,
      labels: { policy: "shop/p", rule: "1", action: "deny" },
    });
  });

  test("who has to be asked is counted where a request is judged, on trial too, and not where it is explained", () => {
    const counts = new PolicyCounts();
    const trial = { name: "shop/trial", dryRun: true } as const;
    const table = new PolicyTable([policy("CUSTOM", [{}]), policy("CUSTOM", [{}], trial)], counts);
    const bound = table.bind(ANN, HERE, "http");
    const call = () => new PolicyCall(ANN, HERE, requestHead());
    expect(bound.explainAsks(call())?.allowed).toBe(bound.asks(call())?.allowed);
    expect(counts.takeReport()).toEqual([
      { policy: "shop/p", rule: "0", action: "custom", count: 1 },
      { policy: "shop/trial", rule: "0", action: "dry-run-custom", count: 1 },
    ]);
  });

  test("the rules of every action count for what is kept ready, on trial or not", () => {
    const actions = ["CUSTOM", "AUDIT", "DENY", "ALLOW"] as const;
    const policies = actions.flatMap((
      action,
    ) => [policy(action, [{}]), policy(action, [{}], { dryRun: true })]);
    expect(new PolicyTable(policies, new PolicyCounts()).bind(ANN, HERE, "http").size).toBe(policies.length);
  });

  test("what is kept ready for connections is limited, and made again", () => {
    const rules = Array.from(
      { length: 1_000 },
      () => when({ attribute: "source.ip", notValues: ["10.9.9.9"] }),
    );
    const table = new PolicyTable([policy("DENY", rules)], new PolicyCounts());
    const bound = (n: number) => table.bind(policyPeer(null, `10.0.0.${n}`), HERE, "http");
    const first = bound(0);
    const fitting = Math.floor(BOUND_RULES_MAX / (1 + first.size));
    for (let n = 1; n < fitting; n++) bound(n);
    expect(bound(0)).toBe(first);
    bound(fitting);
    expect(bound(0)).not.toBe(first);
  });
});
