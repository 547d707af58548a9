/**
 * What one proxy should have, in two parts: what it shares with every proxy that sees the mesh alike, and its own
 * settings. Thousands of proxies then cost one snapshot per kind of view, and one comparison per change of it.
 */
import { type ResourceKey, resourceKey, type Snapshot, type VersionedResource } from "../model/snapshot.ts";
import { versionOfSum, versionShare } from "../model/snapshot_version.ts";
import { differingEntries, SharedSnapshot, type SnapshotPart } from "./shared_snapshot.ts";

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
  /** `set` but for the proxy's own settings, where that is all there is: one list for all who are sent it. */
  readonly whole?: readonly VersionedResource[];
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
  if (!("shared" in known)) return known.size === 0 ? everything(target) : compareVersions(known, target);
  const shared = sharedDifference(known.shared, target.shared);
  if (known.self.version === target.self.version) return shared;
  return { set: [target.self, ...shared.set], remove: shared.remove };
}

const wholes = new WeakMap<Snapshot, readonly VersionedResource[]>();

function everything({ self, shared }: ProxyView): Difference {
  const whole = wholes.get(shared) ?? byKind([...shared.values()]);
  wholes.set(shared, whole);
  return { set: [self, ...whole], remove: [], whole };
}

/** What is alike stands together: packed it is a tenth smaller than host by host. */
function byKind(resources: readonly VersionedResource[]): readonly VersionedResource[] {
  return Object.values(Object.groupBy(resources, ({ body }) => body.kind)).flat();
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
  const computed = from instanceof SharedSnapshot && to instanceof SharedSnapshot
    ? compareShared(from, to)
    : compareSnapshots(from, to);
  known.set(to, computed);
  return computed;
}

function compareShared(from: SharedSnapshot, to: SharedSnapshot): Difference {
  const hosts = new Set([...from.parts.keys(), ...to.parts.keys()]);
  const { before, after } = differingEntries(from, to, hosts);
  return compareSnapshots(before, after);
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
  const gone = new Set(from.keys());
  gone.delete(selfKey);
  for (const [key, resource] of shared) {
    gone.delete(key);
    if (from.get(key) !== resource.version) set.push(resource);
  }
  return { set, remove: [...gone] };
}

/**
 * `from` with other parts, undefined for hosts that are gone. What that comes to is remembered as the difference; the same
 * object when it comes to nothing.
 */
export function changedSnapshot(
  from: SharedSnapshot,
  parts: ReadonlyMap<string, SnapshotPart | undefined>,
): SharedSnapshot {
  const to = from.with(parts);
  if (to === from) return from;
  const { before, after } = differingEntries(from, to, parts.keys());
  differences.set(from, new WeakMap([[to, compareSnapshots(before, after)]]));
  let sum = sums.get(from);
  if (sum !== undefined) {
    for (const [key, resource] of before) sum -= shareOf(key, resource);
    for (const [key, resource] of after) sum += shareOf(key, resource);
    sums.set(to, sum);
  }
  return to;
}

/** Sum of all shares of a shared part. */
const sums = new WeakMap<Snapshot, bigint>();
const shares = new WeakMap<VersionedResource, bigint>();

/** snapshotVersion() of all that a proxy has. */
export function viewVersion({ self, shared }: ProxyView): string {
  let sum = sums.get(shared);
  if (sum === undefined) {
    sum = 0n;
    for (const [key, resource] of shared) sum += shareOf(key, resource);
    sums.set(shared, sum);
  }
  return versionOfSum(sum + shareOf(resourceKey(self.body), self));
}

function shareOf(key: ResourceKey, resource: VersionedResource): bigint {
  let share = shares.get(resource);
  if (share === undefined) {
    share = versionShare(key, resource.version);
    shares.set(resource, share);
  }
  return share;
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
