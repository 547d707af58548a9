/**
 * What policies would say of calls that were seen. Of a call there is not everything on record that a policy may ask
 * for, headers above all; so each is tried twice, at the best and at the worst that the rest can have been.
 */
import type { RecordedCall } from "../model/recorded_call.ts";
import type { SimulatedCall } from "../model/admin.ts";
import type { Policy, PolicyAttribute, PolicyRule, PolicyTest } from "../model/policy.ts";
import type { RequestHead } from "../proxy/exchange.ts";
import { explainVerdict, ruleAt } from "../proxy/explain/authorization.ts";
import type { Verdict } from "../proxy/policy/compiled_rule.ts";
import { PolicyCall, type PolicyDestination, policyPeer } from "../proxy/policy/policy_call.ts";
import { PolicyTable } from "../proxy/policy/policy_table.ts";
import { PolicyCounts } from "../telemetry/policy_counts.ts";

/** Of every call there is on record what these ask for. */
const RECORDED: ReadonlySet<PolicyAttribute> = new Set<PolicyAttribute>([
  "source.principal",
  "source.namespace",
  "source.serviceAccount",
  "source.trustDomain",
  "source.ip",
  "destination.ip",
  "destination.port",
  "host",
  "method",
  "path",
]);

/** Matches nothing. */
const NEVER: PolicyTest = { attribute: "destination.port", values: ["0"] };

/** The policies of one workload. */
export class PolicySimulation {
  readonly #workload: string;
  readonly #address: string;
  /** The policies as if what nobody knows of a call let it through; and as if it did not. */
  readonly #best: PolicyTable;
  readonly #worst: PolicyTable;
  readonly #unknown: readonly string[];
  readonly #provider: string | null;
  /** The policies that ask `#provider`, by name. */
  readonly #asking: ReadonlyMap<string, Policy>;

  /** `provider` is whom the policies can ask. Throws when a value of a policy cannot be compiled. */
  constructor(workload: string, address: string, policies: readonly Policy[], provider: string | null) {
    this.#workload = workload;
    this.#address = address;
    const table = (lets: boolean) =>
      new PolicyTable(
        policies.map((policy) => assuming(answered(policy, lets), (policy.action === "ALLOW") === lets)),
        new PolicyCounts(),
      );
    this.#best = table(true);
    this.#worst = table(false);
    this.#unknown = [...new Set(policies.flatMap(unrecordedIn))];
    this.#provider = provider;
    this.#asking = new Map(
      policies.filter(({ action }) => action === "CUSTOM").map((policy) => [policy.name, policy]),
    );
  }

  try(call: RecordedCall): SimulatedCall {
    const [best, worst] = [this.#verdict(this.#best, call), this.#verdict(this.#worst, call)];
    const workload = this.#workload;
    if (best.allowed !== worst.allowed) {
      const asking = this.#asking.get(worst.policy?.name ?? "");
      if (asking !== undefined && worst.rule !== null) return this.#asked(call, asking, worst.rule);
      const reason = `it depends on ${this.#unknown.join(", ")}, and nothing of that is on record`;
      return { workload, call, outcome: "unknown", policy: null, rule: null, file: null, line: null, reason };
    }
    const { decision, policy, rule = null, file = null, line = null, reason } = explainVerdict(
      best.allowed ? worst : best,
      workload,
    );
    return { workload, call, outcome: decision, policy, rule, file, line, reason };
  }

  #asked(call: RecordedCall, policy: Policy, rule: number): SimulatedCall {
    const { name, file } = policy;
    const line = policy.rules[rule]?.line ?? policy.line;
    const reason = `${this.#provider} is asked first (${
      ruleAt(policy, rule)
    }), and its answer is not on record`;
    return { workload: this.#workload, call, outcome: "unknown", policy: name, rule, file, line, reason };
  }

  #verdict(table: PolicyTable, call: RecordedCall): Verdict {
    const { principal, address, port, protocol, method, authority, path } = call;
    const peer = policyPeer(principal === "" ? null : `spiffe://${principal}`, address);
    const destination: PolicyDestination = { address: this.#address, port };
    const head: RequestHead | null = protocol === "tcp"
      ? null
      : { method, scheme: "http", authority, path, headers: [], bodyLength: 0 };
    return table.bind(peer, destination, protocol).explain(new PolicyCall(peer, destination, head));
  }
}

/** Nobody is asked: who would be lets everything through, or nothing. */
function answered(policy: Policy, lets: boolean): Policy {
  if (policy.action !== "CUSTOM") return policy;
  return lets ? { ...policy, rules: [] } : { ...policy, action: "DENY" };
}

/** The policy for calls for which every test of what is not on record holds, or none does. */
function assuming(policy: Policy, holds: boolean): Policy {
  return { ...policy, rules: policy.rules.map((rule) => assumedRule(rule, holds)) };
}

/** Rules keep their numbers. */
function assumedRule({ line, sources, operations, conditions }: PolicyRule, holds: boolean): PolicyRule {
  const assumed = (tests: readonly PolicyTest[]) =>
    tests.flatMap((test) => isRecorded(test) ? test : holds ? [] : NEVER);
  return {
    line,
    sources: sources.map(assumed),
    operations: operations.map(assumed),
    conditions: assumed(conditions),
  };
}

function isRecorded({ attribute }: PolicyTest): boolean {
  return RECORDED.has(attribute);
}

/** As the words of a reason. */
function unrecordedIn({ name, action, rules }: Policy): string[] {
  const asked = action === "CUSTOM" ? [`the answer that ${name} asks for`] : [];
  return asked.concat(unrecordedTests(rules));
}

function unrecordedTests(rules: Policy["rules"]): string[] {
  return rules.flatMap(({ sources, operations, conditions }) =>
    [...sources, ...operations, conditions].flat()
  )
    .filter((test) => !isRecorded(test))
    .map(({ attribute, header }) => header === undefined ? attribute : `the header ${header}`);
}
