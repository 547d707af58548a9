/** Which DestinationRules apply to a service, as one client's namespace sees it (Istio's lookup order). */
import { hostMatches, resolveHost } from "../config/host.ts";
import type { ConfigResource } from "../config/resource.ts";
import type { DestinationRuleSpec } from "../config/schema/destination_rule.ts";
import type { TrafficPolicy } from "../config/schema/traffic_policy.ts";
import type { BalancerPolicy } from "../model/snapshot.ts";
import { isVisible } from "./visibility.ts";

/** Rules of this namespace apply where neither the client's nor the service's has one. */
export const ROOT_NAMESPACE = "istio-system";

/** What applies to a service without any DestinationRule. */
const BALANCER_DEFAULT: BalancerPolicy = "LEAST_REQUEST";

/** What a service's clusters are made of. */
export interface DestinationPolicy {
  readonly balancer: BalancerPolicy;
  readonly subsets: readonly SubsetPolicy[];
}

export interface SubsetPolicy {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly balancer: BalancerPolicy;
}

type Rule = ConfigResource<DestinationRuleSpec>;

/** The rules of one namespace by their full host. */
interface Level {
  readonly exact: ReadonlyMap<string, readonly Rule[]>;
  /** Most specific first. */
  readonly wildcards: readonly (readonly [host: string, rules: readonly Rule[]])[];
}

export class DestinationRules {
  readonly #rules: readonly Rule[];
  readonly #levels: ReadonlyMap<string, Level>;

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    const byNamespace = Map.groupBy(rules, (rule) => rule.namespace);
    this.#levels = new Map([...byNamespace].map(([namespace, own]) => [namespace, levelOf(own)]));
  }

  /**
   * The policy for a service: the first of client's, service's and root namespace that has any rule for the host wins
   * entirely, and so hides the subsets of the others.
   */
  policyFor(host: string, serviceNamespace: string, clientNamespace: string): DestinationPolicy {
    for (const namespace of new Set([clientNamespace, serviceNamespace, ROOT_NAMESPACE])) {
      const level = this.#levels.get(namespace);
      const rules = level && mostSpecific(level, host, namespace, clientNamespace);
      if (rules !== undefined) return merge(rules);
    }
    return { balancer: BALANCER_DEFAULT, subsets: [] };
  }

  /** Hosts and wildcards of the rules that are here or there alone. */
  changedHosts(other: DestinationRules): ReadonlySet<string> {
    if (other === this) return new Set();
    const changed = new Set(this.#rules).symmetricDifference(new Set(other.#rules));
    return new Set([...changed].map((rule) => resolveHost(rule.spec.host, rule.namespace)));
  }
}

function levelOf(rules: readonly Rule[]): Level {
  const byHost = Map.groupBy(rules, (rule) => resolveHost(rule.spec.host, rule.namespace));
  const wildcards = [...byHost].filter(([host]) => host.startsWith("*"));
  return { exact: byHost, wildcards: wildcards.sort(([a], [b]) => b.length - a.length) };
}

/** Within a namespace an exact host beats a wildcard, and a longer wildcard a shorter one. */
function mostSpecific(
  level: Level,
  host: string,
  namespace: string,
  clientNamespace: string,
): readonly Rule[] | undefined {
  const candidates = [level.exact.get(host) ?? []];
  for (const [pattern, rules] of level.wildcards) if (hostMatches(pattern, host)) candidates.push(rules);
  for (const rules of candidates) {
    // A namespace always sees its own rules.
    const visible = rules.filter((rule) =>
      namespace === clientNamespace || isVisible(rule.spec.exportTo, namespace, clientNamespace)
    );
    if (visible.length > 0) return visible;
  }
  return undefined;
}

/** Rules for one host add up their subsets, a repeated name is ignored, and the first traffic policy counts. */
function merge(rules: readonly Rule[]): DestinationPolicy {
  const policy = rules.find((rule) => rule.spec.trafficPolicy !== null)?.spec.trafficPolicy;
  const balancer = balancerOf(policy) ?? BALANCER_DEFAULT;
  const subsets = new Map<string, SubsetPolicy>();
  for (const subset of rules.flatMap((rule) => rule.spec.subsets)) {
    if (subsets.has(subset.name)) continue;
    // Field by field: what the subset leaves out it has from the rule.
    const own = balancerOf(subset.trafficPolicy) ?? balancer;
    subsets.set(subset.name, { name: subset.name, labels: subset.labels, balancer: own });
  }
  return { balancer, subsets: [...subsets.values()] };
}

/** Undefined inherits. PASSTHROUGH does not come here: the loader refuses it. */
function balancerOf(policy: TrafficPolicy | null | undefined): BalancerPolicy | undefined {
  const simple = policy?.loadBalancer?.simple;
  return simple === "PASSTHROUGH" ? undefined : simple;
}
