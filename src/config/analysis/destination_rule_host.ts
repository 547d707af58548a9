/** IST0174: a DestinationRule for a host that nothing defines. */
import { CODES } from "../codes.ts";
import { resolveHost } from "../host.ts";
import { type Analyzer, warning } from "./analyzer.ts";

export const destinationRuleHost: Analyzer = function* (resources, hosts) {
  for (const resource of resources.destinationRules) {
    const host = resolveHost(resource.spec.host, resource.namespace);
    if (hosts.hasAny(host)) continue;
    yield warning(
      CODES.unknownDestinationRuleHost,
      resource,
      ["spec", "host"],
      `no Service or ServiceEntry defines the host ${host}, so the rule has no effect`,
      hosts.suggestion(resource.spec.host, resource.namespace),
    );
  }
};
