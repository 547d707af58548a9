/** What one generation of the configuration changes of the one before, as far as what callers see hangs on it. */
import type { DestinationRules } from "./destination_rules.ts";
import type { ServiceCatalogue } from "./service_catalogue.ts";
import type { MeshRule } from "./mesh_rule.ts";
import type { VirtualServices } from "./virtual_services.ts";

export interface GenerationChanges {
  /** VirtualServices as sidecars heed them: those that are new or others, and those that are gone or were others. */
  readonly come: readonly MeshRule[];
  readonly gone: readonly MeshRule[];
  /** Hosts and wildcards of changed DestinationRules, and of VirtualServices that may lead to other ports. */
  readonly hosts: ReadonlySet<string>;
  /** Hosts of changed services. */
  readonly services: ReadonlySet<string>;
}

interface Generation {
  readonly services: ServiceCatalogue;
  readonly virtualServices: VirtualServices;
  readonly destinationRules: DestinationRules;
}

export function changesBetween(before: Generation, next: Generation): GenerationChanges {
  const services = next.services.changedHosts(before.services);
  return {
    ...next.virtualServices.changesSince(before.virtualServices),
    hosts: next.destinationRules.changedHosts(before.destinationRules)
      .union(next.virtualServices.hostsLedTo(services)),
    services,
  };
}

export function isNothing({ come, gone, hosts, services }: GenerationChanges): boolean {
  return come.length + gone.length + hosts.size + services.size === 0;
}
