/** BOW0018 and BOW0019: DestinationRules for one host of which one hides, or outdoes, the other. */
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import { resolveHost, SERVICE_SUFFIX } from "../host.ts";
import type { ConfigResource } from "../resource.ts";
import type { DestinationRuleSpec } from "../schema/destination_rule.ts";
import { type Analyzer, located, warning } from "./analyzer.ts";

type Rule = ConfigResource<DestinationRuleSpec>;

export const destinationRuleOrder: Analyzer = function* ({ destinationRules }) {
  // Rules for some callers only stand beside those for all.
  const general = destinationRules.filter(({ spec }) => spec.workloadSelector === null);
  const byHost = Map.groupBy(general, (rule) => resolveHost(rule.spec.host, rule.namespace));
  for (const [host, rules] of byHost) {
    const byNamespace = Map.groupBy(rules, (rule) => rule.namespace);
    for (const own of byNamespace.values()) yield* ignored(host, own);
    const home = byNamespace.get(namespaceOf(host) ?? "");
    if (home === undefined) continue;
    for (const [namespace, others] of byNamespace) {
      const seen = home.filter(({ spec }) => isExportedTo(spec.exportTo, namespace));
      if (namespace !== namespaceOf(host)) yield* hidden(others, seen);
    }
  }
};

/** Within a namespace subsets add up, a name counts once, and the first policy counts. */
function* ignored(host: string, rules: readonly Rule[]): Generator<Finding> {
  const subsets = new Map<string, Rule>();
  let policy: Rule | null = null;
  for (const rule of rules) {
    const { trafficPolicy } = rule.spec;
    if (trafficPolicy !== null && policy !== null) {
      const message = `${located(policy)} already has the policy for ${host}, and only the first holds`;
      yield warning(
        CODES.destinationRuleIgnored,
        rule,
        ["spec", "trafficPolicy"],
        message,
        "merge them into one",
      );
    }
    policy ??= trafficPolicy === null ? null : rule;
    for (const [index, { name }] of rule.spec.subsets.entries()) {
      const first = subsets.get(name);
      if (first === undefined) {
        subsets.set(name, rule);
        continue;
      }
      const message = `${
        located(first)
      } already defines the subset "${name}" of ${host}, and only the first holds`;
      yield warning(CODES.destinationRuleIgnored, rule, ["spec", "subsets", index, "name"], message, null);
    }
  }
}

/** A caller takes the rules of its own namespace alone, where there are any; those of the service's are then not seen. */
function* hidden(others: readonly Rule[], home: readonly Rule[]): Generator<Finding> {
  const [first] = others;
  const [source] = home;
  const known = new Set(others.flatMap(({ spec }) => spec.subsets.map(({ name }) => name)));
  const defined = new Set(home.flatMap(({ spec }) => spec.subsets.map(({ name }) => name)));
  const lost = [...defined].filter((name) => !known.has(name));
  if (first === undefined || source === undefined || lost.length === 0) return;
  yield warning(
    CODES.subsetsHidden,
    first,
    ["spec", "host"],
    `for callers of ${first.namespace} the rule hides ${located(source)} with the subsets ${lost.join(", ")}`,
    "repeat the subsets here, or remove one of the rules",
  );
}

/** Whether another namespace than the resource's own sees it. */
function isExportedTo(exportTo: readonly string[], namespace: string): boolean {
  return exportTo.length === 0 || exportTo.includes("*") || exportTo.includes(namespace);
}

/** The namespace of a service of the mesh. */
function namespaceOf(host: string): string | undefined {
  return host.endsWith(`.${SERVICE_SUFFIX}`) ? host.split(".")[1] : undefined;
}
