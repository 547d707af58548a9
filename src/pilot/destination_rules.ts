/** Which DestinationRules apply to a service, as one client sees it (Istio's lookup order). */
import { hasLabels, type Labels } from "../model/labels.ts";
import { hostMatches, resolveHost } from "../config/host.ts";
import type { ConfigResource } from "../config/resource.ts";
import type { DestinationRuleSpec, Subset } from "../config/schema/destination_rule.ts";
import type { TrafficPolicy } from "../config/schema/traffic_policy.ts";
import { differing } from "./stable_resources.ts";
import { isVisible } from "../config/visibility.ts";

/** What the rules for a service say, merged. */
export interface DestinationPolicy {
  readonly trafficPolicy: TrafficPolicy | null;
  /** Distinct in their names. */
  readonly subsets: readonly Subset[];
  /** The DestinationRules that were merged into it. */
  readonly rules: readonly ConfigResource<DestinationRuleSpec>[];
}

/** Who calls. */
export interface DestinationClient {
  readonly namespace: string;
  readonly labels: Labels;
}

type Rule = ConfigResource<DestinationRuleSpec>;

/** The rules of one namespace by their full host. */
interface Level {
  readonly exact: ReadonlyMap<string, readonly Rule[]>;
  /** Most specific first. */
  readonly wildcards: readonly (readonly [host: string, rules: readonly Rule[]])[];
}

const NO_POLICY: DestinationPolicy = { trafficPolicy: null, subsets: [], rules: [] };

export class DestinationRules {
  readonly #rules: readonly Rule[];
  readonly #levels: ReadonlyMap<string, Level>;
  readonly #rootNamespace: string;
  /** Keys of labels by which some rule selects callers: proxies alike in these see the same policies. */
  readonly selectorLabelKeys: readonly string[];

  /** Rules of the root namespace apply where neither the client's nor the service's has one. */
  constructor(rules: readonly Rule[], rootNamespace: string) {
    this.#rules = rules;
    const byNamespace = Map.groupBy(rules, (rule) => rule.namespace);
    this.#levels = new Map([...byNamespace].map(([namespace, own]) => [namespace, levelOf(own)]));
    this.#rootNamespace = rootNamespace;
    const keys = rules.flatMap(({ spec }) => Object.keys(spec.workloadSelector?.matchLabels ?? {}));
    this.selectorLabelKeys = [...new Set(keys)].sort();
  }

  /**
   * The policy for a service: the first of client's, service's and root namespace that has any rule for the host wins
   * entirely, and so hides the subsets of the others.
   */
  policyFor(host: string, serviceNamespace: string, client: DestinationClient): DestinationPolicy {
    for (const [namespace, visible] of this.#lookup(serviceNamespace, client.namespace)) {
      const level = this.#levels.get(namespace);
      const rules = level && mostSpecific(level, host, visible);
      if (rules !== undefined) return merge(forClient(rules, client));
    }
    return NO_POLICY;
  }

  /** Where to look, one after the other, and which rules count there. */
  *#lookup(
    service: string,
    client: string,
  ): Generator<[namespace: string, visible: (rule: Rule) => boolean]> {
    const root = this.#rootNamespace;
    const exported = ({ namespace, spec }: Rule) => isVisible(spec.exportTo, namespace, client);
    // What the root namespace says for everybody must not hide a service's own rules from callers that run there.
    const isPrivate = ({ spec: { exportTo } }: Rule) => exportTo.length === 1 && exportTo[0] === ".";
    yield [client, client === root ? isPrivate : () => true];
    yield [service, exported];
    yield [root, exported];
  }

  /** Hosts and wildcards of the rules that are here or there alone. */
  changedHosts(other: DestinationRules): ReadonlySet<string> {
    if (other === this) return new Set();
    const changed = differing(this.#rules, other.#rules);
    return new Set(changed.map((rule) => resolveHost(rule.spec.host, rule.namespace)));
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
  visible: (rule: Rule) => boolean,
): readonly Rule[] | undefined {
  const candidates = [level.exact.get(host) ?? []];
  for (const [pattern, rules] of level.wildcards) if (hostMatches(pattern, host)) candidates.push(rules);
  return candidates.map((rules) => rules.filter(visible)).find((rules) => rules.length > 0);
}

/**
 * Rules that select the caller by its labels go before those for everybody, and the first of them brings in those that
 * select by the same labels. A selector only ever selects workloads of the rule's own namespace.
 */
function forClient(rules: readonly Rule[], client: DestinationClient): readonly Rule[] {
  const chosen = rules.find(({ namespace, spec: { workloadSelector } }) =>
    workloadSelector !== null && namespace === client.namespace &&
    hasLabels(client.labels, workloadSelector.matchLabels)
  );
  return rules.filter((rule) => selectorOf(rule) === (chosen === undefined ? "" : selectorOf(chosen)));
}

/** Equal for equal selectors; empty for none. */
function selectorOf({ spec: { workloadSelector } }: Rule): string {
  return workloadSelector === null ? "" : JSON.stringify(Object.entries(workloadSelector.matchLabels).sort());
}

/** Rules for one host add up their subsets, a repeated name is ignored, and the first traffic policy counts. */
function merge(rules: readonly Rule[]): DestinationPolicy {
  const subsets = new Map<string, Subset>();
  for (const subset of rules.flatMap((rule) => rule.spec.subsets)) {
    if (!subsets.has(subset.name)) subsets.set(subset.name, subset);
  }
  const trafficPolicy = rules.find((rule) => rule.spec.trafficPolicy !== null)?.spec.trafficPolicy ?? null;
  return { trafficPolicy, subsets: [...subsets.values()], rules };
}
