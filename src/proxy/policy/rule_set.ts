/**
 * The rules of one action, and what is left of them for a connection: a few, which are asked one by one, or many, which
 * are found by the index that all connections share.
 */
import { bindRule, type BoundRule, type CompiledRule, matches, type Verdict } from "./compiled_rule.ts";
import type { PolicyCall } from "./policy_call.ts";
import { type Candidates, INDEXED_RULES_MIN, RuleIndex } from "./rule_index.ts";

export class RuleSet {
  readonly #rules: readonly CompiledRule[];
  /** Made when somebody needs it. */
  #index: RuleIndex | null = null;

  constructor(rules: readonly CompiledRule[]) {
    this.#rules = rules;
  }

  /** What a connection's calls can match. */
  bind(connection: PolicyCall): BoundRules {
    const bound: BoundRule[] = [];
    const candidates = this.#rules.map((rule) => {
      const own = bindRule(rule, connection);
      if (own !== null) bound.push(own);
      return own === null ? null : rule;
    });
    if (bound.length < INDEXED_RULES_MIN) return new FewRules(bound);
    return new ManyRules(candidates, this.#index ??= new RuleIndex(this.#rules));
  }
}

export interface BoundRules {
  /** Rules that are kept for it. */
  readonly size: number;
  /** What the first rule says that matches; null: none does. */
  find(call: PolicyCall, counted: boolean): Verdict | null;
}

class FewRules implements BoundRules {
  readonly #rules: readonly BoundRule[];

  constructor(rules: readonly BoundRule[]) {
    this.#rules = rules;
  }

  get size(): number {
    return this.#rules.length;
  }

  find(call: PolicyCall, counted: boolean): Verdict | null {
    for (const bound of this.#rules) if (matches(bound, call)) return verdictOf(bound.rule, counted);
    return null;
  }
}

class ManyRules implements BoundRules {
  readonly #candidates: Candidates;
  readonly #index: RuleIndex;

  constructor(candidates: Candidates, index: RuleIndex) {
    this.#candidates = candidates;
    this.#index = index;
  }

  get size(): number {
    return this.#candidates.length;
  }

  find(call: PolicyCall, counted: boolean): Verdict | null {
    const found = this.#index.find(this.#candidates, call);
    return found === null ? null : verdictOf(found, counted);
  }
}

function verdictOf({ counter, verdict }: CompiledRule, counted: boolean): Verdict {
  if (counted) counter.count++;
  return verdict;
}
