import { describe, expect, test } from "bun:test";
import { PolicySimulation } from "../../../src/control/policy_simulation.ts";
import type { Policy, PolicyRule, PolicyTest } from "../../../src/model/policy.ts";
import type { RecordedCall } from "../../../src/model/recorded_call.ts";
import { recordedCall } from "../telemetry/recorded_call.ts";

const CALL = recordedCall({ allowed: 7 });

const PATH: PolicyTest = { attribute: "path", values: ["/a"] };
const HEADER: PolicyTest = { attribute: "header", header: "x-role", values: ["admin"] };

function policy(action: Policy["action"], ...rules: Partial<PolicyRule>[]): Policy {
  const all = rules.map((rule, index): PolicyRule => ({
    line: 10 + index,
    sources: [],
    operations: [],
    conditions: [],
    ...rule,
  }));
  return { name: `shop/${action.toLowerCase()}`, action, file: "p.yaml", line: 1, rules: all };
}

function tryOut(call: Partial<RecordedCall>, ...policies: Policy[]) {
  const { outcome, reason, policy, rule, line } = new PolicySimulation(
    "shop/web",
    "10.0.0.1",
    policies,
    "guard",
  )
    .try({ ...CALL, ...call });
  return { outcome, reason, policy, rule, line };
}

describe("PolicySimulation", () => {
  test("names the rule that decides", () => {
    const allow = policy("ALLOW", { operations: [[{ ...PATH, values: ["/b"] }]] }, { operations: [[PATH]] });
    expect(tryOut({}, allow)).toEqual({
      outcome: "allow",
      reason: "rule 1 of AuthorizationPolicy shop/allow (p.yaml:11) allows it",
      policy: "shop/allow",
      rule: 1,
      line: 11,
    });
    expect(tryOut({ path: "/c" }, allow)).toMatchObject({ outcome: "deny", policy: null });
    expect(tryOut({}, allow, policy("DENY", { operations: [[PATH]] }))).toMatchObject({
      outcome: "deny",
      policy: "shop/deny",
      rule: 0,
    });
  });

  test("knows who called, from where, to which port and host", () => {
    const tests: PolicyTest[] = [
      { attribute: "source.principal", values: [CALL.principal] },
      { attribute: "source.namespace", values: ["shop"] },
      { attribute: "source.ip", values: ["10.0.0.0/24"] },
      { attribute: "destination.port", values: ["8080"] },
      { attribute: "host", values: ["web:8080"] },
    ];
    const allow = policy("ALLOW", { conditions: tests });
    expect(tryOut({}, allow).outcome).toBe("allow");
    const others = [
      { principal: "cluster.local/ns/bank/sa/front" },
      { principal: "" },
      { address: "10.0.1.3" },
      { port: 8081 },
      { authority: "web:8081" },
    ];
    expect(others.map((other) => tryOut(other, allow).outcome)).toEqual(others.map(() => "deny"));
  });

  test("does not pretend to know headers and tokens", () => {
    const reason = "it depends on the header x-role, and nothing of that is on record";
    expect(tryOut({}, policy("DENY", { conditions: [HEADER] }))).toMatchObject({
      outcome: "unknown",
      reason,
    });
    expect(tryOut({}, policy("ALLOW", { conditions: [HEADER] })).outcome).toBe("unknown");
    expect(tryOut({}, policy("ALLOW", { operations: [[PATH, HEADER]] })).outcome).toBe("unknown");
    const forwarded = policy("ALLOW", { sources: [[{ attribute: "remote.ip", values: ["10.0.0.0/8"] }]] });
    expect(tryOut({}, forwarded).outcome).toBe("unknown");
  });

  test("is certain where what it does not know cannot matter", () => {
    const elsewhere = policy("DENY", { operations: [[{ ...PATH, values: ["/b"] }]], conditions: [HEADER] });
    expect(tryOut({}, elsewhere).outcome).toBe("allow");
    expect(tryOut({}, policy("ALLOW", { conditions: [HEADER] }, { operations: [[PATH]] })).outcome).toBe(
      "allow",
    );
    const denied = [policy("DENY", { operations: [[PATH]] }), policy("ALLOW", { conditions: [HEADER] })];
    expect(tryOut({}, ...denied).outcome).toBe("deny");
  });

  test("does not know what somebody would answer who is asked", () => {
    const custom = policy("CUSTOM", { operations: [[PATH]] });
    expect(tryOut({}, custom)).toEqual({
      outcome: "unknown",
      reason: "guard is asked first (rule 0 of AuthorizationPolicy shop/custom (p.yaml:10)), " +
        "and its answer is not on record",
      policy: "shop/custom",
      rule: 0,
      line: 10,
    });
    expect(tryOut({ path: "/b" }, custom).outcome).toBe("allow");
    expect(tryOut({}, custom, policy("DENY", { operations: [[PATH]] })).outcome).toBe("deny");
  });

  test("asks nothing of HTTP where the call was bytes", () => {
    const tcp = { protocol: "tcp", method: "", authority: "", path: "" } as const;
    expect(tryOut(tcp, policy("ALLOW", { operations: [[PATH]] })).outcome).toBe("deny");
    expect(
      tryOut(tcp, policy("ALLOW", { operations: [[{ attribute: "destination.port", values: ["8080"] }]] })),
    )
      .toMatchObject({ outcome: "allow" });
  });
});
