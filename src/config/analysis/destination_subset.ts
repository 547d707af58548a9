/** IST0101 for subsets: a route to a subset that no DestinationRule of its host defines, as far as callers see. */
import { nearest } from "../../lib/edit_distance.ts";
import { CODES } from "../codes.ts";
import { hostMatches, resolveHost } from "../host.ts";
import type { ConfigResource } from "../resource.ts";
import type { DestinationRuleSpec } from "../schema/destination_rule.ts";
import { type Analyzer, located, warning } from "./analyzer.ts";
import { destinations } from "./destinations.ts";

type Rule = ConfigResource<DestinationRuleSpec>;

export const destinationSubset: Analyzer = function* (resources, hosts) {
  const rules = Map.groupBy(
    resources.destinationRules,
    ({ namespace, spec }) => resolveHost(spec.host, namespace),
  );
  const wildcards = [...rules].filter(([pattern]) => pattern.startsWith("*"))
    .sort(([a], [b]) => b.length - a.length);
  for (const { resource, path, host, subset } of destinations(resources)) {
    // An unknown host is a finding of its own, and its subsets then follow from it.
    if (subset === null || hosts.portsOf(host) === undefined) continue;
    const covering = wildcards.filter(([pattern]) => pattern !== host && hostMatches(pattern, host));
    const all = [rules.get(host) ?? [], ...covering.map(([, own]) => own)].flat();
    const seen = [...Map.groupBy(all, ({ namespace }) => namespace).values()].flatMap(inEffect);
    const defined = seen.flatMap(subsetsOf);
    if (defined.includes(subset)) continue;
    const hidden = all.find((rule) => subsetsOf(rule).includes(subset));
    const hider = seen.find(({ namespace }) => namespace === hidden?.namespace);
    const meant = nearest(subset, defined);
    yield warning(
      CODES.referenceNotFound,
      resource,
      [...path, "subset"],
      `${
        hidden === undefined || hider === undefined
          ? `no DestinationRule for ${host} defines the subset "${subset}"`
          : `${located(hider)} hides ${located(hidden)} with the subset "${subset}" of ${host}, since its ` +
            "host is narrower"
      }; requests routed there are answered 503`,
      meant === undefined ? null : `did you mean "${meant}"?`,
    );
  }
};

/**
 * Of the rules of one namespace, the most specific first, those that some caller sees: those for the most specific host
 * hide the others, as far as they are for everybody.
 */
function inEffect(rules: readonly Rule[]): readonly Rule[] {
  const hider = rules.find(({ spec }) =>
    spec.workloadSelector === null && (spec.exportTo.length === 0 || spec.exportTo.includes("*"))
  );
  if (hider === undefined) return rules;
  const host = resolveHost(hider.spec.host, hider.namespace);
  const last = rules.findLastIndex(({ spec, namespace }) => resolveHost(spec.host, namespace) === host);
  return rules.slice(0, last + 1);
}

function subsetsOf({ spec }: Rule): readonly string[] {
  return spec.subsets.map(({ name }) => name);
}
