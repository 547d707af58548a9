/**
 * The policies of a workload, compiled once per snapshot: who is refused, and by which rule. The proxy and `explain` ask
 * the same objects.
 */
import type { Policy } from "../../model/policy.ts";
import { NO_RULE, type PolicyCounter, type PolicyCounts } from "../../telemetry/policy_counts.ts";
import { LOCAL_REPLY } from "../local_reply.ts";
import { type CompiledRule, compileRule, policyVerdict, type Verdict, withoutHttp } from "./compiled_rule.ts";
import { PolicyCall, type PolicyDestination, type PolicyPeer } from "./policy_call.ts";
import { type BoundRules, RuleSet } from "./rule_set.ts";

/** Rules that are kept ready for kinds of connections; with more it begins anew. */
export const BOUND_RULES_MAX = 50_000;

export class PolicyTable {
  readonly #sets: Readonly<Record<"http" | "tcp", { enforced: RuleSets; tried: RuleSets | null }>>;
  readonly #asksForAddress: boolean;
  readonly #asksForName: boolean;
  readonly #bound = new Map<string, BoundPolicies>();
  #boundRules = 0;

  /** Throws when a value of a policy cannot be compiled. */
  constructor(policies: readonly Policy[], counts: PolicyCounts) {
    const http = policies.flatMap((policy) =>
      policy.rules.map((rule, index) => compileRule(policy, rule, index, counts))
    );
    const sets = (rules: readonly CompiledRule[]) => ({
      enforced: new RuleSets(policies, rules, false, counts),
      tried: policies.some(isTried) ? new RuleSets(policies, rules, true, counts) : null,
    });
    this.#sets = { http: sets(http), tcp: sets(http.flatMap((rule) => withoutHttp(rule) ?? [])) };
    const attributes = http.flatMap(({ sources, operations, conditions }) =>
      [...sources, ...operations, conditions].flat().map(({ attribute }) => attribute)
    );
    this.#asksForAddress = attributes.some((attribute) => attribute.endsWith(".ip"));
    this.#asksForName = attributes.includes("connection.sni");
  }

  /** What holds for all calls of a connection to one port. */
  bind(peer: PolicyPeer, destination: PolicyDestination, protocol: "http" | "tcp"): BoundPolicies {
    const addresses = this.#asksForAddress ? `${peer.address} ${destination.address}` : "";
    const name = this.#asksForName ? peer.serverName : "";
    const key = `${protocol} ${destination.port} ${peer.principal} ${name} ${addresses}`;
    let bound = this.#bound.get(key);
    if (bound === undefined) {
      const connection = new PolicyCall(peer, destination, null);
      const { enforced, tried } = this.#sets[protocol];
      bound = new BoundPolicies(enforced.bind(connection), tried?.bind(connection) ?? null);
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
}

export class BoundPolicies {
  /** How many rules are kept for it. */
  readonly size: number;
  readonly #enforced: BoundRuleSets;
  /** Null where no policy is tried out. */
  readonly #tried: BoundRuleSets | null;

  constructor(enforced: BoundRuleSets, tried: BoundRuleSets | null) {
    this.size = enforced.size + (tried?.size ?? 0);
    this.#enforced = enforced;
    this.#tried = tried;
  }

  /** The first rule because of which somebody has to be asked before anything is decided; null: none. */
  asks(call: PolicyCall): Verdict | null {
    this.#tried?.asks(call, true);
    return this.#enforced.asks(call, true);
  }

  /** As asks(), and counts nothing. */
  explainAsks(call: PolicyCall): Verdict | null {
    return this.#enforced.asks(call, false);
  }

  /** Decides on a call, and counts it. */
  decide(call: PolicyCall): Verdict {
    this.#tried?.decide(call, true);
    return this.#enforced.decide(call, true);
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
  readonly #custom: RuleSet;
  readonly #deny: RuleSet;
  readonly #allow: RuleSet;
  readonly #audit: RuleSet;
  readonly #needsAllow: boolean;
  readonly #unallowed: PolicyCounter;

  constructor(
    policies: readonly Policy[],
    rules: readonly CompiledRule[],
    tried: boolean,
    counts: PolicyCounts,
  ) {
    const set = (action: Policy["action"]) =>
      new RuleSet(rules.filter(({ policy }) => isTried(policy) === tried && policy.action === action));
    this.#custom = set("CUSTOM");
    this.#deny = set("DENY");
    this.#allow = set("ALLOW");
    this.#audit = set("AUDIT");
    this.#needsAllow = policies.some((policy) => isTried(policy) === tried && policy.action === "ALLOW");
    const action = policyVerdict("deny", tried);
    this.#unallowed = counts.counter({ policy: NO_RULE, rule: NO_RULE, action });
  }

  bind(connection: PolicyCall): BoundRuleSets {
    return new BoundRuleSets({
      custom: this.#custom.bind(connection),
      audit: this.#audit.bind(connection),
      deny: this.#deny.bind(connection),
      allow: this.#needsAllow ? this.#allow.bind(connection) : null,
      unallowed: this.#unallowed,
    });
  }
}

interface BoundParts {
  readonly custom: BoundRules;
  readonly audit: BoundRules;
  readonly deny: BoundRules;
  /** Null where nothing has to be allowed. */
  readonly allow: BoundRules | null;
  readonly unallowed: PolicyCounter;
}

class BoundRuleSets {
  readonly #parts: BoundParts;

  constructor(parts: BoundParts) {
    this.#parts = parts;
  }

  get size(): number {
    const { custom, audit, deny, allow } = this.#parts;
    return custom.size + audit.size + deny.size + (allow?.size ?? 0);
  }

  asks(call: PolicyCall, counted: boolean): Verdict | null {
    return this.#parts.custom.find(call, counted);
  }

  decide(call: PolicyCall, counted: boolean): Verdict {
    const { audit, deny, allow, unallowed } = this.#parts;
    audit.find(call, counted);
    const denied = deny.find(call, counted);
    if (denied !== null) return denied;
    if (allow === null) return ALLOWED;
    const allowed = allow.find(call, counted);
    if (allowed !== null) return allowed;
    if (counted) unallowed.count++;
    return REFUSED;
  }
}

function isTried({ dryRun }: Policy): boolean {
  return dryRun === true;
}
