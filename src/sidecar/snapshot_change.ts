/** What differs between two snapshots, so that whoever has the one can be brought to the other with little said. */
import { type ResourceKey, resourceKey, type Snapshot, type VersionedResource } from "../model/snapshot.ts";

export interface SnapshotChange {
  readonly set: readonly VersionedResource[];
  readonly remove: readonly ResourceKey[];
}

export function changeBetween(before: Snapshot, after: Snapshot): SnapshotChange {
  const set = [...after].filter(([key, { version }]) => before.get(key)?.version !== version);
  return {
    set: set.map(([, resource]) => resource),
    remove: [...before.keys()].filter((key) => !after.has(key)),
  };
}

/** A new snapshot; the given one stays as it is. */
export function changedSnapshot(before: Snapshot, { set, remove }: SnapshotChange): Snapshot {
  const after = new Map(before);
  for (const key of remove) after.delete(key);
  for (const resource of set) after.set(resourceKey(resource.body), resource);
  return after;
}
