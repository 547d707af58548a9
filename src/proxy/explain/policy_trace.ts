/** Every rule of policies that a proxy looks at for a call, in its order, and why those were passed over that were. */
import type { Policy } from "../../model/policy.ts";
import type { PolicyCall } from "../policy/policy_call.ts";
import type { ExplainedPolicyRule } from "./explanation.ts";
import { type RuleReading, whyNotRule } from "./policy_words.ts";

/** Whoever is asked comes first, and a rule that refuses ends it: one that asks, where nobody can be asked. */
const ORDER = ["CUSTOM", "AUDIT", "DENY", "ALLOW"] as const;

const MATCHED = "all of it holds";

/** What is tried out comes after what decides. */
export function tracePolicies(
  policies: readonly Policy[],
  call: PolicyCall,
  protocol: RuleReading["protocol"],
): readonly ExplainedPolicyRule[] {
  const [tried, enforced] = [true, false].map((is) => policies.filter((one) => (one.dryRun === true) === is));
  return [enforced ?? [], tried ?? []].flatMap((those) => traceInOrder(those, call, protocol));
}

function traceInOrder(
  policies: readonly Policy[],
  call: PolicyCall,
  protocol: RuleReading["protocol"],
): readonly ExplainedPolicyRule[] {
  const trace: ExplainedPolicyRule[] = [];
  for (const action of ORDER) {
    const looked = traceAction(policies.filter((policy) => policy.action === action), call, protocol);
    trace.push(...looked);
    const ends = action === "DENY" || (action === "CUSTOM" && protocol === "tcp");
    if (ends && looked.at(-1)?.matched) break;
  }
  return trace;
}

/** The rules of one action, until one matches. */
function traceAction(
  policies: readonly Policy[],
  call: PolicyCall,
  protocol: RuleReading["protocol"],
): readonly ExplainedPolicyRule[] {
  const trace: ExplainedPolicyRule[] = [];
  for (const { name, action, dryRun, file, line, rules } of policies) {
    const policy = { policy: name, action, ...(dryRun ? { dryRun } : {}), file };
    if (rules.length === 0) {
      trace.push({
        ...policy,
        rule: null,
        line,
        matched: false,
        why: "it has no rules, so it never matches",
      });
    }
    for (const [index, rule] of rules.entries()) {
      const why = whyNotRule(rule, call, { refuses: action !== "ALLOW", protocol });
      const matched = why === null;
      trace.push({ ...policy, rule: index, line: rule.line, matched, why: why ?? MATCHED });
      if (matched) return trace;
    }
  }
  return trace;
}
