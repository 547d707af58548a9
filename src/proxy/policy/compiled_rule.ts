/**
 * A rule of a policy, compiled; and what is left of it for the requests of one connection, whose ends are known: most
 * rules are for other callers, and need not be asked again.
 */
import type { Policy, PolicyRule, PolicyTest } from "../../model/policy.ts";
import type { PolicyCounter, PolicyCounts, PolicyVerdict } from "../../telemetry/policy_counts.ts";
import { type LocalReply, rbacDenied } from "../local_reply.ts";
import { type CompiledTest, compileTest } from "./compiled_test.ts";
import type { PolicyCall } from "./policy_call.ts";
import type { WantedGroups } from "./rule_key.ts";

/** Alternatives, of which each is a list of tests that all have to pass. */
type Alternatives = readonly (readonly CompiledTest[])[];

/** What becomes of a call. */
export interface Verdict {
  readonly allowed: boolean;
  /** The policy whose rule decided; null: none did. */
  readonly policy: Policy | null;
  /** Counts from 0; null: as above. */
  readonly rule: number | null;
  /** What is answered where it is refused. */
  readonly reply: LocalReply;
}

export interface CompiledRule {
  readonly policy: Policy;
  /** Counts from 0. */
  readonly index: number;
  readonly counter: PolicyCounter;
  /** Where it decides. */
  readonly verdict: Verdict;
  readonly sources: Alternatives;
  readonly operations: Alternatives;
  readonly conditions: readonly CompiledTest[];
}

/** What a rule still asks of a request; what is empty is settled. */
export interface BoundRule {
  readonly rule: CompiledRule;
  readonly sources: Alternatives;
  readonly operations: Alternatives;
  readonly conditions: readonly CompiledTest[];
}

/** Throws when a value of it cannot be compiled. */
export function compileRule(
  policy: Policy,
  rule: PolicyRule,
  index: number,
  counts: PolicyCounts,
): CompiledRule {
  const { name, action, dryRun } = policy;
  const allowed = action === "ALLOW";
  const compile = (test: PolicyTest) => compileTest(test, !allowed);
  const verdict = policyVerdict(VERDICTS[action], dryRun ?? false);
  return {
    policy,
    index,
    counter: counts.counter({ policy: name, rule: String(index), action: verdict }),
    verdict: { allowed, policy, rule: index, reply: rbacDenied(name, index) },
    sources: rule.sources.map((tests) => tests.map(compile)),
    operations: rule.operations.map((tests) => tests.map(compile)),
    conditions: rule.conditions.map(compile),
  };
}

const VERDICTS = { ALLOW: "allow", DENY: "deny", AUDIT: "audit", CUSTOM: "custom" } as const;

/** What is counted of a verdict. */
export function policyVerdict(
  verdict: (typeof VERDICTS)[keyof typeof VERDICTS],
  dryRun: boolean,
): PolicyVerdict {
  return dryRun ? `dry-run-${verdict}` : verdict;
}

/**
 * The rule as it is for bytes: what only HTTP has cannot be asked, so that a rule that allows never does, and one that
 * refuses refuses more (Istio). Null: it never matches.
 */
export function withoutHttp(rule: CompiledRule): CompiledRule | null {
  const { sources, operations, conditions, policy } = rule;
  const all = [...sources, ...operations, conditions].flat();
  if (!all.some(({ http }) => http)) return rule;
  if (policy.action === "ALLOW") return null;
  const known = (tests: readonly CompiledTest[]) => tests.filter(({ http }) => !http);
  return {
    ...rule,
    sources: sources.map(known),
    operations: operations.map(known),
    conditions: known(conditions),
  };
}

/** What is left of the rule where the connection is known; null: none of its requests can match. */
export function bindRule(rule: CompiledRule, connection: PolicyCall): BoundRule | null {
  const sources = bindAlternatives(rule.sources, connection);
  const operations = bindAlternatives(rule.operations, connection);
  const conditions = bindTests(rule.conditions, connection);
  if (sources === null || operations === null || conditions === null) return null;
  return { rule, sources, operations, conditions };
}

/** What a call that it matches has. */
export function wantedOf({ sources, operations, conditions }: CompiledRule): WantedGroups {
  return [operations, ...conditions.map((test) => [[test]]), sources]
    .filter(({ length }) => length > 0)
    .map((alternatives) => alternatives.map((tests) => tests.map(({ wanted }) => wanted)));
}

export function matches(
  { sources, operations, conditions }: Pick<BoundRule, "sources" | "operations" | "conditions">,
  call: PolicyCall,
): boolean {
  return anyPasses(operations, call) && allPass(conditions, call) && anyPasses(sources, call);
}

function bindAlternatives(alternatives: Alternatives, connection: PolicyCall): Alternatives | null {
  const left: (readonly CompiledTest[])[] = [];
  for (const tests of alternatives) {
    const bound = bindTests(tests, connection);
    if (bound === null) continue;
    // One of them holds for all requests, so the others do not matter.
    if (bound.length === 0) return [];
    left.push(bound);
  }
  return left.length === 0 && alternatives.length > 0 ? null : left;
}

function bindTests(tests: readonly CompiledTest[], connection: PolicyCall): readonly CompiledTest[] | null {
  if (tests.some((test) => test.perConnection && !test.passes(connection))) return null;
  return tests.filter(({ perConnection }) => !perConnection);
}

function anyPasses(alternatives: Alternatives, call: PolicyCall): boolean {
  if (alternatives.length === 0) return true;
  for (const tests of alternatives) if (allPass(tests, call)) return true;
  return false;
}

function allPass(tests: readonly CompiledTest[], call: PolicyCall): boolean {
  for (const test of tests) if (!test.passes(call)) return false;
  return true;
}
