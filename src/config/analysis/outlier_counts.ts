/** BOW0056: outlier detection that never ejects anybody. */
import { CODES } from "../codes.ts";
import type { ConfigResource } from "../resource.ts";
import type { ServiceEntrySpec } from "../schema/service_entry.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { policies } from "./policies.ts";

export const outlierCounts: Analyzer = function* (resources) {
  const openWildcards = new Set(resources.serviceEntries.flatMap(openWildcardsOf));
  for (const { resource, host, path, policy: { outlierDetection } } of policies(resources)) {
    if (outlierDetection === null) continue;
    if (openWildcards.has(host)) {
      const message = `${host} leads to whichever host a call names, and of those none is ejected`;
      yield warning(CODES.countsWithoutEffect, resource, [...path, "outlierDetection"], message, null);
      continue;
    }
    const { consecutive5xxErrors: errors, consecutiveGatewayErrors: gateway } = outlierDetection;
    const at = [...path, "outlierDetection"];
    if (errors === 0 && !gateway) {
      if (outlierDetection.splitExternalLocalOriginErrors) continue;
      const message = "consecutive5xxErrors is 0, and without consecutiveGatewayErrors nobody is ejected";
      yield warning(
        CODES.countsWithoutEffect,
        resource,
        [...at, "consecutive5xxErrors"],
        message,
        "count one of the two",
      );
    } else if (gateway && errors > 0 && gateway >= errors) {
      const message =
        `an endpoint is ejected after ${errors} errors of any kind, before it has made ${gateway}`;
      yield warning(
        CODES.countsWithoutEffect,
        resource,
        [...at, "consecutiveGatewayErrors"],
        message,
        `make it less than consecutive5xxErrors, which is ${errors}, or that 0`,
      );
    }
  }
};

/** Hosts of which each call says which one it means, where nobody wrote endpoints. */
function openWildcardsOf({ spec }: ConfigResource<ServiceEntrySpec>): readonly string[] {
  if (spec.resolution !== "NONE" && spec.resolution !== "DYNAMIC_DNS") return [];
  return spec.hosts.filter((host) => host.startsWith("*"));
}
