/** Which hosts, ports and subsets an edit makes rules miss, gateways' too: they come with another edit, or the rules go with one. */
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import type { ResourceSet } from "../resource.ts";
import { destinationHost } from "./destination_host.ts";
import { destinationPort } from "./destination_port.ts";
import { destinationSubset } from "./destination_subset.ts";
import { gatewayCalledHosts } from "./gateway_called_hosts.ts";
import { gatewayPorts } from "./gateway_ports.ts";
import { HostRegistry } from "./host_registry.ts";

/** Hosts, ports and subsets that rules of `next` lead to and that are missing, unless the same were missing for them before. */
export function newlyMissing(next: ResourceSet, before: ResourceSet): readonly Finding[] {
  const missing = missingOf(next);
  if (missing.length === 0) return [];
  const known = new Set(missingOf(before).map(said));
  return missing.filter((finding) => !known.has(said(finding)));
}

function missingOf(resources: ResourceSet): readonly Finding[] {
  const hosts = new HostRegistry(resources);
  return [destinationHost, destinationPort, destinationSubset, gatewayPorts, gatewayCalledHosts]
    .flatMap((analyzer) => [...analyzer(resources, hosts)])
    .filter(({ code }) => code === CODES.referenceNotFound);
}

/** Who misses what, wherever it is written. */
function said({ resource, message }: Finding): string {
  return `${resource}: ${message}`;
}
