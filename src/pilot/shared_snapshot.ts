/**
 * What proxies have in common, by host. Hosts that come to the same for several kinds of callers, or that stay as they
 * are, are one object: a snapshot of thousands of resources costs its own list of hosts, and what is in no other.
 */
import type { ResourceKey, Snapshot, VersionedResource } from "../model/snapshot.ts";

export type SnapshotEntry = readonly [key: ResourceKey, resource: VersionedResource];

/** What one host comes to, with endpoints. */
export type SnapshotPart = readonly SnapshotEntry[];

export class SharedSnapshot implements Snapshot {
  /** By host, as in a view of the configuration. No two have a key in common. */
  readonly parts: ReadonlyMap<string, SnapshotPart>;
  /** Made when somebody looks something up, as only what is about gateways does. */
  #byKey: ReadonlyMap<ResourceKey, VersionedResource> | null = null;

  constructor(parts: ReadonlyMap<string, SnapshotPart>) {
    this.parts = parts;
  }

  get size(): number {
    let size = 0;
    for (const part of this.parts.values()) size += part.length;
    return size;
  }

  get(key: ResourceKey): VersionedResource | undefined {
    return this.#index.get(key);
  }

  has(key: ResourceKey): boolean {
    return this.#index.has(key);
  }

  forEach(call: (resource: VersionedResource, key: ResourceKey, of: Snapshot) => void): void {
    for (const [key, resource] of this) call(resource, key, this);
  }

  *entries(): Generator<[ResourceKey, VersionedResource], undefined> {
    for (const part of this.parts.values()) yield* part as unknown as [ResourceKey, VersionedResource][];
  }

  *keys(): Generator<ResourceKey, undefined> {
    for (const [key] of this) yield key;
  }

  *values(): Generator<VersionedResource, undefined> {
    for (const [, resource] of this) yield resource;
  }

  [Symbol.iterator](): Generator<[ResourceKey, VersionedResource], undefined> {
    return this.entries();
  }

  get #index(): ReadonlyMap<ResourceKey, VersionedResource> {
    return this.#byKey ??= new Map(this);
  }

  /** With other parts, undefined where a host is gone; the same object where all have the same resources. */
  with(changed: ReadonlyMap<string, SnapshotPart | undefined>): SharedSnapshot {
    const other = [...changed].filter(([host, part]) => !hasSameResources(this.parts.get(host), part));
    if (other.length === 0) return this;
    const parts = new Map(this.parts);
    for (const [host, part] of other) {
      if (part === undefined) parts.delete(host);
      else parts.set(host, part);
    }
    return new SharedSnapshot(parts);
  }
}

/** What some hosts come to in either, but for what is in both: of a host, mostly all but one resource. */
export function differingEntries(
  from: SharedSnapshot,
  to: SharedSnapshot,
  hosts: Iterable<string>,
): { readonly before: Snapshot; readonly after: Snapshot } {
  const [before, after] = [[], []] as [SnapshotEntry[], SnapshotEntry[]];
  for (const host of hosts) {
    const [one, other] = [from.parts.get(host), to.parts.get(host)];
    if (one === other) continue;
    before.push(...(one ?? []).filter((entry, index) => !isSame(entry, other?.[index])));
    after.push(...(other ?? []).filter((entry, index) => !isSame(entry, one?.[index])));
  }
  return { before: new Map(before), after: new Map(after) };
}

function isSame([key, resource]: SnapshotEntry, other: SnapshotEntry | undefined): boolean {
  return other !== undefined && key === other[0] && resource.version === other[1].version;
}

/** Whether two parts have the same objects in the same order; undefined is none. */
export function hasSameResources(one: SnapshotPart | undefined, other: SnapshotPart | undefined): boolean {
  if (one === other) return true;
  if (one === undefined || other === undefined || one.length !== other.length) return false;
  return one.every(([, resource], index) => resource === other[index]?.[1]);
}
