/** Tells whether a new generation says anything new about services and routing: most edits move workloads only. */
import type { ConfigResource, ResourceSet } from "../config/resource.ts";
import { textHash } from "../lib/hash.ts";

/**
 * Equal fingerprints mean that everything but the WorkloadEntries is the same, down to the lines at which rules stand,
 * since routes name them.
 */
export function configFingerprint(resources: ResourceSet): string {
  const { services, serviceEntries, virtualServices, destinationRules } = resources;
  const rules = virtualServices.map((resource) => [
    ...essence(resource),
    resource.spec.http.map((_, index) => {
      const { file, line } = resource.positionOf(["spec", "http", index]);
      return `${file}:${line}`;
    }),
  ]);
  // Specs come out of their schemas with their keys in one order.
  return textHash(JSON.stringify([
    services.map(essence),
    serviceEntries.map(essence),
    rules,
    destinationRules.map(essence),
  ]));
}

function essence({ namespace, name, annotations, spec }: ConfigResource<unknown>): unknown[] {
  return [namespace, name, annotations, spec];
}
