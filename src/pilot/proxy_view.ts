/**
 * What one proxy should have, in two parts: what it shares with every proxy that sees the mesh alike, and its own
 * settings. Thousands of proxies then cost one snapshot per kind of view, and one comparison per change of it.
 */
import { contentHash } from "../lib/hash.ts";
import { type ResourceKey, resourceKey, type Snapshot, type VersionedResource } from "../model/snapshot.ts";

export interface ProxyView {
  /** Everything but the proxy's settings; the same object for all proxies that see the same. */
  readonly shared: Snapshot;
  /** The proxy's settings, `proxy/self`. */
  readonly self: VersionedResource;
}

/** What a push has to carry. */
export interface Difference {
  readonly set: readonly VersionedResource[];
  readonly remove: readonly ResourceKey[];
}

/** What a proxy is known to have: versions that it named in its hello, or a view that it ACKed. */
export type Known = ReadonlyMap<ResourceKey, string> | ProxyView;

export interface ViewCounts {
  readonly virtualHosts: number;
  readonly clusters: number;
  readonly endpoints: number;
}

const NOTHING: Difference = { set: [], remove: [] };

/** Makes a view a snapshot in one piece. */
export function snapshotOfView(view: ProxyView): Snapshot {
  return new Map([[resourceKey(view.self.body), view.self], ...view.shared]);
}

/** What turns `known` into `target`. Equal pairs of shared parts give the same object, so that it can be encoded once. */
export function difference(known: Known, target: ProxyView): Difference {
  if (!("shared" in known)) return compareVersions(known, target);
  const shared = sharedDifference(known.shared, target.shared);
  if (known.self.version === target.self.version) return shared;
  return { set: [target.self, ...shared.set], remove: shared.remove };
}

export function isEmpty(change: Difference): boolean {
  return change.set.length === 0 && change.remove.length === 0;
}

const differences = new WeakMap<Snapshot, WeakMap<Snapshot, Difference>>();

function sharedDifference(from: Snapshot, to: Snapshot): Difference {
  if (from === to) return NOTHING;
  const known = differences.get(from) ?? new WeakMap<Snapshot, Difference>();
  differences.set(from, known);
  const remembered = known.get(to);
  if (remembered !== undefined) return remembered;
  const computed = compareSnapshots(from, to);
  known.set(to, computed);
  return computed;
}

function compareSnapshots(from: Snapshot, to: Snapshot): Difference {
  const set: VersionedResource[] = [];
  for (const [key, resource] of to) {
    const before = from.get(key);
    if (before !== resource && before?.version !== resource.version) set.push(resource);
  }
  return { set, remove: [...from.keys()].filter((key) => !to.has(key)) };
}

function compareVersions(from: ReadonlyMap<ResourceKey, string>, { self, shared }: ProxyView): Difference {
  const selfKey = resourceKey(self.body);
  const set = from.get(selfKey) === self.version ? [] : [self];
  for (const [key, resource] of shared) if (from.get(key) !== resource.version) set.push(resource);
  const isGone = (key: ResourceKey) => key !== selfKey && !shared.has(key);
  return { set, remove: [...from.keys()].filter(isGone) };
}

/**
 * `from` with some resources set, and of the keys in `gone` those removed that were not set. What that comes to is
 * remembered as the difference; the same object when it comes to nothing.
 */
export function changedSnapshot(
  from: Snapshot,
  changed: Snapshot,
  gone: ReadonlySet<ResourceKey>,
): Snapshot {
  const set: VersionedResource[] = [];
  const to = new Map(from);
  let differs = false;
  for (const [key, resource] of changed) {
    const before = from.get(key);
    if (before === resource) continue;
    differs = true;
    to.set(key, resource);
    if (before?.version !== resource.version) set.push(resource);
  }
  const remove = [...gone].filter((key) => !changed.has(key) && to.delete(key));
  if (!differs && remove.length === 0) return from;
  differences.set(from, new WeakMap([[to, { set, remove }]]));
  return to;
}

const versions = new WeakMap<Snapshot, string>();

/** One version for all that a proxy has: equal versions mean equal snapshots. */
export function viewVersion(view: ProxyView): string {
  let shared = versions.get(view.shared);
  if (shared === undefined) {
    shared = contentHash([...view.shared].map(([key, { version }]) => `${key}=${version}`).sort());
    versions.set(view.shared, shared);
  }
  return contentHash([view.self.version, shared]);
}

const counts = new WeakMap<Snapshot, ViewCounts>();

/** How many resources of each kind a view has; of endpoints the members are counted, not the sets. */
export function viewCounts({ shared }: ProxyView): ViewCounts {
  const remembered = counts.get(shared);
  if (remembered !== undefined) return remembered;
  const counted = { virtualHosts: 0, clusters: 0, endpoints: 0 };
  for (const { body } of shared.values()) {
    if (body.kind === "virtualHost") counted.virtualHosts++;
    else if (body.kind === "cluster") counted.clusters++;
    else if (body.kind === "endpoints") counted.endpoints += body.endpoints.length;
  }
  counts.set(shared, counted);
  return counted;
}
