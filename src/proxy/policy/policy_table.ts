/**
 * The policies of a workload, compiled once per snapshot: who is refused, and by which rule. The proxy and `explain` ask
 * the same objects.
 */
import type { Policy } from "../../model/policy.ts";
import { NO_RULE, type PolicyCounter, type PolicyCounts } from "../../telemetry/policy_counts.ts";
import { LOCAL_REPLY, type LocalReply } from "../local_reply.ts";
import { PathIndex } from "../route/path_index.ts";
import {
  bindRule,
  type BoundRule,
  type CompiledRule,
  compileRule,
  matches,
  policyVerdict,
  type Verdict,
  withoutHttp,
} from "./compiled_rule.ts";
import { PolicyCall, type PolicyDestination, type PolicyPeer } from "./policy_call.ts";

/** Rules that are kept ready for kinds of connections; with more it begins anew. */
export const BOUND_RULES_MAX = 50_000;

export class PolicyTable {
  readonly #policies: readonly Policy[];
  readonly #rules: readonly CompiledRule[];
  readonly #counts: PolicyCounts;
  readonly #asksForAddress: boolean;
  readonly #bound = new Map<string, BoundPolicies>();
  #boundRules = 0;

  /** Throws when a value of a policy cannot be compiled. */
  constructor(policies: readonly Policy[], counts: PolicyCounts) {
    this.#policies = policies;
    this.#counts = counts;
    this.#rules = policies.flatMap((policy) =>
      policy.rules.map((rule, index) => compileRule(policy, rule, index, counts))
    );
    this.#asksForAddress = this.#rules.some(({ sources, operations, conditions }) =>
      [...sources, ...operations, conditions].flat().some(({ attribute }) => attribute.endsWith(".ip"))
    );
  }

  /** What holds for all calls of a connection to one port. */
  bind(peer: PolicyPeer, destination: PolicyDestination, protocol: "http" | "tcp"): BoundPolicies {
    const addresses = this.#asksForAddress ? `${peer.address} ${destination.address}` : "";
    const key = `${protocol} ${destination.port} ${peer.principal} ${addresses}`;
    let bound = this.#bound.get(key);
    if (bound === undefined) {
      bound = this.#bind(peer, destination, protocol);
      // Nothing is free: who has no rules left counts for one.
      this.#boundRules += 1 + bound.size;
      if (this.#boundRules > BOUND_RULES_MAX) {
        this.#bound.clear();
        this.#boundRules = 1 + bound.size;
      }
      this.#bound.set(key, bound);
    }
    return bound;
  }

  #bind(peer: PolicyPeer, destination: PolicyDestination, protocol: "http" | "tcp"): BoundPolicies {
    const connection = new PolicyCall(peer, destination, null);
    const rules = this.#rules
      .map((rule) => protocol === "tcp" ? withoutHttp(rule) : rule)
      .flatMap((rule) => rule === null ? [] : bindRule(rule, connection) ?? []);
    return new BoundPolicies(this.#policies, rules, this.#counts);
  }
}

export class BoundPolicies {
  /** How many rules are left. */
  readonly size: number;
  readonly #enforced: RuleSets;
  /** Null where no policy is tried out. */
  readonly #tried: RuleSets | null;

  constructor(policies: readonly Policy[], rules: readonly BoundRule[], counts: PolicyCounts) {
    this.size = rules.length;
    this.#enforced = new RuleSets(policies, rules, false, counts);
    this.#tried = policies.some(isTried) ? new RuleSets(policies, rules, true, counts) : null;
  }

  /** Decides on a call, and counts it. Null: it is allowed. */
  refusal(call: PolicyCall): LocalReply | null {
    this.#tried?.decide(call, true);
    const { allowed, reply } = this.#enforced.decide(call, true);
    return allowed ? null : reply;
  }

  /** Decides, and counts nothing. */
  explain(call: PolicyCall): Verdict {
    return this.#enforced.decide(call, false);
  }
}

const ALLOWED: Verdict = { allowed: true, policy: null, rule: null, reply: LOCAL_REPLY.rbacDenied };
const REFUSED: Verdict = { ...ALLOWED, allowed: false };

/** The policies of which all are enforced, or all are tried out. */
class RuleSets {
  readonly #deny: RuleSet;
  readonly #allow: RuleSet;
  readonly #audit: RuleSet;
  readonly #needsAllow: boolean;
  readonly #unallowed: PolicyCounter;

  constructor(
    policies: readonly Policy[],
    rules: readonly BoundRule[],
    tried: boolean,
    counts: PolicyCounts,
  ) {
    const set = (action: Policy["action"]) =>
      new RuleSet(
        rules.filter(({ rule: { policy } }) => isTried(policy) === tried && policy.action === action),
      );
    this.#deny = set("DENY");
    this.#allow = set("ALLOW");
    this.#audit = set("AUDIT");
    this.#needsAllow = policies.some((policy) => isTried(policy) === tried && policy.action === "ALLOW");
    const action = policyVerdict("deny", tried);
    this.#unallowed = counts.counter({ policy: NO_RULE, rule: NO_RULE, action });
  }

  decide(call: PolicyCall, counted: boolean): Verdict {
    this.#audit.find(call, counted);
    const denied = this.#deny.find(call, counted);
    if (denied !== null) return denied;
    if (!this.#needsAllow) return ALLOWED;
    const allowed = this.#allow.find(call, counted);
    if (allowed !== null) return allowed;
    if (counted) this.#unallowed.count++;
    return REFUSED;
  }
}

function isTried({ dryRun }: Policy): boolean {
  return dryRun === true;
}

class RuleSet {
  readonly #rules: readonly BoundRule[];
  readonly #index: PathIndex;

  constructor(rules: readonly BoundRule[]) {
    this.#rules = rules;
    this.#index = new PathIndex(rules.map(({ pathKeys }) => pathKeys));
  }

  /** What the first rule says that matches; null: none does. */
  find(call: PolicyCall, counted: boolean): Verdict | null {
    const rules = this.#rules;
    if (rules.length === 0) return null;
    let found = this.#index.find(call.path, call, rules, matches);
    if (found === undefined && call.barePath !== call.path) {
      found = this.#index.find(call.barePath, call, rules, matches);
    }
    if (found === undefined) return null;
    if (counted) found.rule.counter.count++;
    return found.rule.verdict;
  }
}
