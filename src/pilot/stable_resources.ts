/**
 * Tells what a new generation of the configuration changes. A file that was edited is read anew as a whole, so most of
 * its resources are new objects that say what the old ones said; whoever works with identities needs the old ones.
 */
import type { ConfigResource, ResourceSet } from "../config/resource.ts";
import { sameElements } from "../lib/same_elements.ts";

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
  const changed = differing(next, before);
  if (changed.length === 0) return before;
  const replaced = new Set(changed);
  const byKey = new Map(
    before.filter((resource) => replaced.has(resource)).map((resource) => [keyOf(resource), resource]),
  );
  const stable = next.map((resource) => {
    const old = replaced.has(resource) ? byKey.get(keyOf(resource)) : undefined;
    return old !== undefined && sameEssence(old, resource) ? old : resource;
  });
  return sameElements(stable, before) ? before : stable;
}

/** What only one of two lists has, each of which has nothing twice; lists that are alike in most places are cheap. */
export function differing<Item>(next: readonly Item[], before: readonly Item[]): Item[] {
  if (next.length !== before.length) return [...new Set(next).symmetricDifference(new Set(before))];
  const come = new Set<Item>();
  const gone = new Set<Item>();
  for (let index = 0; index < next.length; index++) {
    if (next[index] === before[index]) continue;
    come.add(next[index] as Item);
    gone.add(before[index] as Item);
  }
  return [...come.symmetricDifference(gone)];
}

function keyOf({ namespace, name }: ConfigResource<unknown>): string {
  return `${namespace}/${name}`;
}

function sameEssence(a: ConfigResource<unknown>, b: ConfigResource<unknown>): boolean {
  return sameData(a.spec, b.spec) && sameData(a.labels, b.labels) &&
    sameData(a.annotations, b.annotations) && sameLines(a, b);
}

/** The rules of a VirtualService or a policy stand where they stood; a policy without any is named by its own line. */
function sameLines(a: ConfigResource<unknown>, b: ConfigResource<unknown>): boolean {
  const isPolicy = "action" in (a.spec as object);
  if (isPolicy && (a.position.file !== b.position.file || a.position.line !== b.position.line)) return false;
  return ["http", "tls", "tcp", "rules"].every((field) => {
    const rules = (a.spec as Record<string, unknown>)[field];
    return !Array.isArray(rules) || rules.every((_, index) => {
      const [one, other] = [a, b].map((resource) => resource.positionOf(["spec", field, index]));
      return one?.file === other?.file && one?.line === other?.line;
    });
  });
}

/** Both are what a schema makes of YAML: plain objects, lists and scalars. */
export function sameData(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length &&
      a.every((element, index) => sameData(element, b[index]));
  }
  const [one, other] = [a, b] as unknown as [Record<string, unknown>, Record<string, unknown>];
  const [keys, otherKeys] = [Object.keys(one), Object.keys(other)];
  return keys.length === otherKeys.length &&
    keys.every((key, index) => key === otherKeys[index] && sameData(one[key], other[key]));
}
