/** IST0101 for hosts that are there, and not for those whose sidecars follow the route: `exportTo` leaves them out. */
import { CODES } from "../codes.ts";
import { hostMatches, serviceHost } from "../host.ts";
import type { ResourceSet } from "../resource.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import { type Exported, exportToOf, isVisible, viewersOf } from "../visibility.ts";
import { type Analyzer, warning } from "./analyzer.ts";
import { destinations } from "./destinations.ts";

export const destinationVisibility: Analyzer = function* (resources) {
  const definitions = definitionsOf(resources);
  // Nothing that everybody sees can be out of sight.
  if (![...definitions.values()].flat().some(({ exportTo }) => exportTo.length > 0)) return;
  for (const { resource, path, host } of destinations(resources)) {
    const { namespace, spec: { exportTo, gateways } } = resource;
    // A gateway stands in a namespace that the files need not know.
    if (!gateways.includes(MESH_GATEWAY)) continue;
    const defined = definitions.get(host) ??
      [...definitions].filter(([pattern]) => hostMatches(pattern, host)).flatMap(([, all]) => all);
    if (defined.length === 0) continue;
    // Of rules for everybody at least their own namespace is meant.
    const callers = [...viewersOf({ namespace, exportTo })].map((name) => name === "*" ? namespace : name);
    const blind = callers.filter((caller) =>
      !defined.some((one) => isVisible(one.exportTo, one.namespace, caller))
    );
    if (blind.length === 0) continue;
    const message = `the host ${host} is not exported to ${
      blind.join(", ")
    }; requests routed there are answered 503`;
    yield warning(CODES.referenceNotFound, resource, [...path, "host"], message, null);
  }
};

/** Who says what a host is, by full name or wildcard. */
function definitionsOf({ services, serviceEntries }: ResourceSet): ReadonlyMap<string, readonly Exported[]> {
  const own = services.map(({ name, namespace, annotations }) =>
    [serviceHost(name, namespace), { namespace, exportTo: exportToOf(annotations) }] as const
  );
  const entries = serviceEntries.flatMap(({ namespace, spec: { exportTo, hosts } }) =>
    hosts.map((host) => [host, { namespace, exportTo }] as const)
  );
  const grouped = Map.groupBy([...own, ...entries], ([host]) => host);
  return new Map([...grouped].map(([host, all]) => [host, all.map(([, one]) => one)]));
}
