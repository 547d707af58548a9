/** IST0101 for subsets: a route to a subset that no DestinationRule of its host defines. */
import { nearest } from "../../lib/edit_distance.ts";
import { CODES } from "../codes.ts";
import { hostMatches, resolveHost } from "../host.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { destinations } from "./destinations.ts";

export const destinationSubset: Analyzer = function* (resources, hosts) {
  const rules = Map.groupBy(
    resources.destinationRules,
    ({ namespace, spec }) => resolveHost(spec.host, namespace),
  );
  const wildcards = [...rules].filter(([pattern]) => pattern.startsWith("*"));
  for (const { resource, path, host, subset } of destinations(resources)) {
    // An unknown host is a finding of its own, and its subsets then follow from it.
    if (subset === null || hosts.portsOf(host) === undefined) continue;
    const covering = wildcards.filter(([pattern]) => hostMatches(pattern, host)).flatMap(([, all]) => all);
    const defined = [...rules.get(host) ?? [], ...covering].flatMap(({ spec }) =>
      spec.subsets.map(({ name }) => name)
    );
    if (defined.includes(subset)) continue;
    const meant = nearest(subset, defined);
    yield warning(
      CODES.referenceNotFound,
      resource,
      [...path, "subset"],
      `no DestinationRule for ${host} defines the subset "${subset}"; requests routed there are answered 503`,
      meant === undefined ? null : `did you mean "${meant}"?`,
    );
  }
};
