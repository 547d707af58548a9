/** The index of rules must decide as asking each rule in turn does, whatever the rules and the calls. */
import { describe, expect, test } from "bun:test";
import { Prng } from "../../../../src/lib/prng.ts";
import type { Policy, PolicyRule, PolicyTest } from "../../../../src/model/policy.ts";
import { requestAuthOf } from "../../../../src/proxy/jwt/request_auth.ts";
import { PolicyCall, policyPeer } from "../../../../src/proxy/policy/policy_call.ts";
import { PolicyTable } from "../../../../src/proxy/policy/policy_table.ts";
import { INDEXED_RULES_MIN } from "../../../../src/proxy/policy/rule_index.ts";
import { PolicyCounts } from "../../../../src/telemetry/policy_counts.ts";
import { requestHead } from "../request_head.ts";

const HERE = { address: "10.0.0.1", port: 8080 };
const PEER = policyPeer("spiffe://mesh.test/ns/shop/sa/ann", "10.0.0.9");

const PATHS = ["/", "/a", "/a/b", "/a/b/c", "/a;x/b", "/a/b;y", "/b//c", "/a/b/", "/a%3Bx", "/c/b/a"];
const HOSTS = ["web", "web.shop", "web:8080", "WEB.shop.", "other:80"];
const METHODS = ["GET", "PUT", "GETS"];
const ROLES = ["user", "admin", "user,admin", "admin, user", ""];
const ADDRESSES = ["10.0.0.9", "203.0.113.5", "203.0.113.6", "2001:db8::1", "nonsense"];

const TOKENS = [
  requestAuthOf({ iss: "issuer", sub: "ann", groups: ["staff", "guest"] }, []),
  requestAuthOf({ groups: "staff" }, []),
];

const PATTERNS: Readonly<Partial<Record<PolicyTest["attribute"], readonly string[]>>> = {
  path: ["/a", "/a*", "*/c", "*", "/a/{*}/c", "/{*}/b", "/a/{**}", "/{**}/c", "/{*}", "/b*", "/c/b/a"],
  host: ["web", "*.shop", "web:8080", "web:*", "*", "we*", "*:80"],
  method: ["GET", "PUT", "GET*", "*S", "*"],
  header: ["user", "admin", "*min", "us*", "*", "user,admin"],
  "remote.ip": ["10.0.0.9", "203.0.113.0/24", "203.0.113.5", "0.0.0.0/0", "2001:db8::/32", "::/0"],
  "source.namespace": ["shop", "s*", "other", "more"],
  "request.auth.principal": ["issuer/ann", "issuer/*", "*"],
  "request.auth.claims": ["staff", "st*", "guest"],
};

describe("RuleIndex", () => {
  test("decides as asking each rule in turn does", () => {
    const random = new Prng(11);
    const pick = <Item>(items: readonly Item[]) => items[random.below(items.length)] as Item;
    const some = <Item>(most: number, make: () => Item) =>
      Array.from({ length: random.below(most + 1) }, make);
    const attributes = Object.keys(PATTERNS) as PolicyTest["attribute"][];
    const condition = (): PolicyTest => {
      const attribute = pick(attributes);
      const patterns =
        () => [pick(PATTERNS[attribute] ?? []), ...some(1, () => pick(PATTERNS[attribute] ?? []))];
      return {
        attribute,
        ...(attribute === "request.auth.claims" ? { claim: ["groups"] } : {}),
        ...(attribute === "header" ? { header: pick(["x-role", "x-other"]) } : {}),
        ...(random.below(12) > 0 ? { values: patterns() } : { notValues: patterns() }),
        ...(random.below(6) === 0 ? { notValues: patterns() } : {}),
      };
    };
    const alternatives = () => some(2, () => [condition(), condition(), ...some(1, condition)]);
    const rule = (): PolicyRule => ({
      line: 1,
      sources: random.below(4) === 0 ? alternatives() : [],
      operations: alternatives(),
      conditions: [condition(), ...some(2, condition)],
    });
    const call = () => {
      const headers = [
        ...some(3, () => [pick(["x-role", "x-other"]), pick(ROLES)]),
        ...some(1, () => ["x-forwarded-for", pick(ADDRESSES)]),
      ].flat();
      const [method, authority, path] = [pick(METHODS), pick(HOSTS), pick(PATHS)];
      const head = requestHead({ method, authority, path, headers });
      const auth = random.below(3) > 0 ? { auth: pick(TOKENS) } : {};
      return new PolicyCall(PEER, HERE, { ...head, ...auth });
    };
    const outcomes = { none: 0, some: 0 };
    for (let round = 0; round < 150; round++) {
      const action = pick<Policy["action"]>(["ALLOW", "DENY"]);
      const policy = (rules: readonly PolicyRule[]): Policy => ({
        ...{ name: "shop/p", action, file: "p.yaml", line: 1, rules },
      });
      const rules = Array.from({ length: INDEXED_RULES_MIN + random.below(20) }, rule);
      const bound = (some: readonly PolicyRule[]) =>
        new PolicyTable([policy(some)], new PolicyCounts()).bind(PEER, HERE, "http");
      const all = bound(rules);
      const alone = rules.map((one) => bound([one]));
      for (let i = 0; i < 20; i++) {
        const request = call();
        const inTurn = alone.findIndex((one) => one.explain(request).rule !== null);
        expect(all.explain(request).rule).toBe(inTurn < 0 ? null : inTurn);
        outcomes[inTurn < 0 ? "none" : "some"]++;
      }
    }
    expect(Math.min(outcomes.none, outcomes.some)).toBeGreaterThan(300);
  });

  test("finds a rule by each reading of a field: its values, their list, and the items of one", () => {
    const named = (value: string): PolicyRule => ({
      ...{ line: 1, sources: [], conditions: [] },
      operations: [[{ attribute: "header", header: "x-role", values: [value] }]],
    });
    const others = Array.from({ length: INDEXED_RULES_MIN }, (_, index) => named(`other-${index}`));
    const denies = (value: string, ...roles: readonly string[]) => {
      const rules = [...others, named(value)];
      const policy: Policy = { name: "shop/p", action: "DENY", file: "p.yaml", line: 1, rules };
      const headers = roles.flatMap((role) => ["x-role", role]);
      const call = new PolicyCall(PEER, HERE, requestHead({ headers }));
      return !new PolicyTable([policy], new PolicyCounts()).bind(PEER, HERE, "http").decide(call).allowed;
    };
    expect(denies("user", "user", "admin")).toBe(true);
    expect(denies("admin", "user", "admin")).toBe(true);
    expect(denies("user,admin", "user", "admin")).toBe(true);
    expect(denies("a,b,c", "a", "b", "c")).toBe(true);
    expect(denies("admin", "user, admin")).toBe(true);
    expect(denies("admin,user", "user", "admin")).toBe(false);
  });

  test("asks only rules that want what the call has, of whatever it is that they want", () => {
    // A rule that is asked reads the header; the index looks at those that are there.
    const wants: readonly PolicyTest[] = [
      { attribute: "path", values: ["*.json"] },
      { attribute: "path", values: ["/x/{*}/y"] },
      { attribute: "method", values: ["PUT"] },
      { attribute: "host", values: ["*.test"] },
      { attribute: "header", header: "x-role", values: ["*"] },
      { attribute: "remote.ip", values: ["192.0.2.0/24"] },
    ];
    for (const want of wants) {
      const reads: PolicyTest = { attribute: "header", header: "x-read", notValues: ["never"] };
      const rules = Array.from({ length: INDEXED_RULES_MIN }, (): PolicyRule => ({
        ...{ line: 1, sources: [], conditions: [], operations: [[reads, want]] },
      }));
      const policy: Policy = { name: "shop/p", action: "DENY", file: "p.yaml", line: 1, rules };
      const call = new PolicyCall(PEER, HERE, requestHead({ authority: "web", path: "/a" }));
      let read = 0;
      call.headerValues = (name) => {
        if (name === "x-read") read++;
        return null;
      };
      new PolicyTable([policy], new PolicyCounts()).bind(PEER, HERE, "http").explain(call);
      expect([want.attribute, read]).toEqual([want.attribute, 0]);
    }
  });
});
