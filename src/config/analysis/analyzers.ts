/** The list of analyzers: each looks for one kind of mistake across resources that are each valid by themselves. */
import type { Finding } from "../finding.ts";
import type { ResourceSet } from "../resource.ts";
import type { Analyzer } from "./analyzer.ts";
import { conflictingHosts } from "./conflicting_hosts.ts";
import { destinationHost } from "./destination_host.ts";
import { destinationPort } from "./destination_port.ts";
import { destinationRuleHost } from "./destination_rule_host.ts";
import { destinationSubset } from "./destination_subset.ts";
import { HostRegistry } from "./host_registry.ts";

const ANALYZERS: readonly Analyzer[] = [
  conflictingHosts,
  destinationHost,
  destinationPort,
  destinationRuleHost,
  destinationSubset,
];

/** What all analyzers find. Nothing of it is an error: such resources load, and fail only the requests that meet them. */
export function analyze(resources: ResourceSet): Finding[] {
  const hosts = new HostRegistry(resources);
  return ANALYZERS.flatMap((analyzer) => [...analyzer(resources, hosts)]);
}
