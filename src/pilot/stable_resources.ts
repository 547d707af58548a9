/**
 * Tells what a new generation of the configuration changes. A file that was edited is read anew as a whole, so most of
 * its resources are new objects that say what the old ones said; whoever works with identities needs the old ones.
 */
import type { ConfigResource, ResourceSet } from "../config/resource.ts";

/**
 * `next` with the objects of `before` wherever they mean the same, down to the lines at which rules stand, since routes
 * name them; whole lists, and the whole set, too. WorkloadEntries stay those of `before`: workloads come from the registry.
 */
export function stableResources(next: ResourceSet, before: ResourceSet): ResourceSet {
  if (next === before) return before;
  const { workloadEntries } = before;
  const stable = Object.entries({ ...next, workloadEntries }).map(([kind, resources]) => {
    const known = before[kind as keyof ResourceSet] as readonly ConfigResource<unknown>[];
    return [kind, stableList(resources, known)] as const;
  });
  const isSame = stable.every(([kind, resources]) => resources === before[kind as keyof ResourceSet]);
  return isSame ? before : Object.fromEntries(stable) as unknown as ResourceSet;
}

function stableList(
  next: readonly ConfigResource<unknown>[],
  before: readonly ConfigResource<unknown>[],
): readonly ConfigResource<unknown>[] {
  if (next === before) return before;
  const known = new Set(before);
  if (next.length === known.size && next.every((resource, index) => resource === before[index])) {
    return before;
  }
  const kept = new Set(next);
  const replaced = before.filter((resource) => !kept.has(resource));
  const byKey = new Map(replaced.map((resource) => [keyOf(resource), resource]));
  const stable = next.map((resource) => {
    const old = known.has(resource) ? resource : byKey.get(keyOf(resource));
    return old !== undefined && (old === resource || essence(old) === essence(resource)) ? old : resource;
  });
  const isSame = stable.length === before.length &&
    stable.every((resource, index) => resource === before[index]);
  return isSame ? before : stable;
}

function keyOf({ namespace, name }: ConfigResource<unknown>): string {
  return `${namespace}/${name}`;
}

/** Specs come out of their schemas with their keys in one order. */
function essence(resource: ConfigResource<unknown>): string {
  const { annotations, labels, spec } = resource;
  const lines = ["http", "tls", "tcp"].flatMap((field) => {
    const rules = (spec as Record<string, unknown>)[field];
    return (Array.isArray(rules) ? rules : []).map((_, index) => {
      const { file, line } = resource.positionOf(["spec", field, index]);
      return `${file}:${line}`;
    });
  });
  return JSON.stringify([annotations, labels, spec, lines]);
}
