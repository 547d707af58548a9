/** Which resources an edit takes away. */
import type { ConfigResource, ResourceSet } from "../resource.ts";

/** The resources of `before` whose name `next` does not have, in whatever file. */
export function vanished(next: ResourceSet, before: ResourceSet): readonly ConfigResource<unknown>[] {
  if (next === before) return [];
  return Object.entries(before).flatMap(([set, resources]) =>
    goneFrom(next[set as keyof ResourceSet], resources)
  );
}

function goneFrom(
  next: readonly ConfigResource<unknown>[],
  before: readonly ConfigResource<unknown>[],
): readonly ConfigResource<unknown>[] {
  // Most are the very objects.
  const here = new Set(next);
  const others = before.filter((resource) => !here.has(resource));
  if (others.length === 0) return others;
  const names = new Set(next.map(nameOf));
  return others.filter((resource) => !names.has(nameOf(resource)));
}

function nameOf({ kind, namespace, name }: ConfigResource<unknown>): string {
  return `${kind} ${namespace}/${name}`;
}
