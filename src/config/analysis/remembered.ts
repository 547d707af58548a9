/**
 * What follows from one resource alone, found once: whoever edits a file leaves all resources of the others as they are,
 * the same objects, and a control plane analyzes after each edit.
 */
import type { ConfigResource } from "../resource.ts";

type Resource<Spec> = ConfigResource<Spec>;

/** All that `find` finds in a list of resources, in order. */
export function remembered<Spec, Found>(
  find: (resource: Resource<Spec>) => Iterable<Found>,
): (resources: readonly Resource<Spec>[]) => readonly Found[] {
  const ofResource = new WeakMap<Resource<Spec>, readonly Found[]>();
  // Several analyzers ask for the same of one generation.
  const ofList = new WeakMap<readonly Resource<Spec>[], readonly Found[]>();
  const foundIn = (resource: Resource<Spec>): readonly Found[] => {
    let found = ofResource.get(resource);
    if (found === undefined) ofResource.set(resource, found = [...find(resource)]);
    return found;
  };
  return (resources) => {
    let found = ofList.get(resources);
    if (found === undefined) ofList.set(resources, found = resources.flatMap(foundIn));
    return found;
  };
}
