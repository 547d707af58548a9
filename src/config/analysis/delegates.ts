/** IST0101 and BOW0021: delegates that are not there, are none, or that nothing delegates to. */
import { nearest } from "../../lib/edit_distance.ts";
import { CODES } from "../codes.ts";
import { type Analyzer, located, warning } from "./analyzer.ts";

export const delegates: Analyzer = function* ({ virtualServices }) {
  const byKey = new Map(
    virtualServices.map((resource) => [`${resource.namespace}/${resource.name}`, resource]),
  );
  const used = new Set<string>();
  for (const resource of virtualServices) {
    for (const [rule, { delegate }] of resource.spec.http.entries()) {
      if (delegate === null) continue;
      const key = `${delegate.namespace ?? resource.namespace}/${delegate.name}`;
      used.add(key);
      const target = byKey.get(key);
      const path = ["spec", "http", rule, "delegate", "name"];
      if (target === undefined) {
        const meant = nearest(
          key,
          [...byKey].filter(([, { spec }]) => spec.hosts.length === 0).map(([name]) => name),
        );
        const message = `no VirtualService is ${key}, so the rule routes nothing`;
        const hint = meant === undefined ? null : `did you mean "${meant}"?`;
        yield warning(CODES.referenceNotFound, resource, path, message, hint);
      } else if (target.spec.hosts.length > 0) {
        const message = `${located(target)} has hosts, so it is no delegate, and the rule routes nothing`;
        yield warning(CODES.referenceNotFound, resource, path, message, "remove its hosts and gateways");
      }
    }
  }
  for (const [key, resource] of byKey) {
    if (resource.spec.hosts.length > 0 || used.has(key)) continue;
    const message = "has no hosts, and no VirtualService delegates to it, so it has no effect";
    yield warning(CODES.delegateUnused, resource, ["spec"], message, "add hosts:");
  }
};
