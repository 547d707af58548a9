/** Two configurations beside each other: which workloads notice the step from one to the other, and what of it. */
import type { ResourceSet } from "../../config/resource.ts";
import type { ResourceKey, Snapshot, VersionedResource } from "../../model/snapshot.ts";
import { type WorkloadKey, workloadKey } from "../../model/workload.ts";
import type { MeshWorkload } from "../../pilot/file_workloads.ts";
import { snapshotOfView } from "../../pilot/proxy_view.ts";
import { fileProxies } from "../../pilot/translate.ts";
import { World } from "../../pilot/world.ts";
import { type Change, type SnapshotDiff, snapshotDiff } from "./snapshot_diff.ts";

export interface WorkloadDiff extends SnapshotDiff {
  readonly workload: WorkloadKey;
  readonly change: Change;
}

export interface MeshDiff {
  /** Sorted; those for which nothing changes are not here. */
  readonly workloads: readonly WorkloadDiff[];
  /** How many workloads both configurations have together. */
  readonly workloadCount: number;
}

const NOTHING: SnapshotDiff = {
  routes: [],
  policies: [],
  endpoints: [],
  listeners: [],
  ports: [],
  settings: [],
};

/** Workloads are those of the files; `trustDomain` is that of both. */
export function meshDiff(before: ResourceSet, after: ResourceSet, trustDomain: string): MeshDiff {
  const [old, now] = [meshOf(before, trustDomain), meshOf(after, trustDomain)];
  const keys = [...new Set([...old.workloads.keys(), ...now.workloads.keys()])].sort();
  // Most workloads see the mesh as others do: each pair of views is compared once.
  const compared = new Map<Snapshot, Map<Snapshot, SnapshotDiff>>();
  const workloads = keys.flatMap((workload): WorkloadDiff[] => {
    const [was, is] = [old.workloads.get(workload), now.workloads.get(workload)];
    if (was === undefined || is === undefined) {
      return [{ workload, change: was === undefined ? "added" : "removed", ...NOTHING }];
    }
    const [from, to] = [old.world.view(was), now.world.view(is)];
    const known = compared.get(from.shared) ?? new Map<Snapshot, SnapshotDiff>();
    compared.set(from.shared, known);
    const shared = known.get(to.shared) ??
      snapshotDiff(snapshotOfView(from), snapshotOfView({ shared: to.shared, self: from.self }));
    known.set(to.shared, shared);
    const { settings } = snapshotDiff(only(from.self), only(to.self));
    const difference = { ...shared, settings };
    return Object.values(difference).every((changes) => changes.length === 0)
      ? []
      : [{ workload, change: "changed", ...difference }];
  });
  return { workloads, workloadCount: keys.length };
}

function meshOf(resources: ResourceSet, trustDomain: string) {
  const workloads = fileProxies(resources);
  return {
    world: new World({ resources, workloads, trustDomain }, null),
    workloads: new Map(workloads.map((one): [WorkloadKey, MeshWorkload] => [workloadKey(one), one])),
  };
}

function only(settings: VersionedResource): Snapshot {
  return new Map<ResourceKey, VersionedResource>([["proxy/self", settings]]);
}
