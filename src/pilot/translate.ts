/** Resources and workloads to the snapshot of one proxy: the whole of pilot as one pure function. */
import type { ResourceSet } from "../config/resource.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { type WorkloadKey, workloadKey } from "../model/workload.ts";
import { fileWorkloads, type MeshWorkload, selectsGateways } from "./file_workloads.ts";
import { snapshotOfView } from "./proxy_view.ts";
import { World } from "./world.ts";

/** What the proxy of `proxy` should have; it need not be among the workloads. */
export function translate(
  resources: ResourceSet,
  workloads: readonly MeshWorkload[],
  proxy: MeshWorkload,
  trustDomain: string,
): Snapshot {
  return snapshotOfView(new World({ resources, workloads, trustDomain }, null).view(proxy));
}

/** Every workload that the files alone know; whom a Gateway selects by its labels is taken for a gateway. */
export function fileProxies({ gateways, workloadEntries }: ResourceSet): readonly MeshWorkload[] {
  const isGateway = selectsGateways(gateways);
  return fileWorkloads(workloadEntries).map((workload): MeshWorkload =>
    isGateway(workload.labels) ? { ...workload, role: "gateway", hasSidecar: false } : workload
  );
}

/**
 * The same of any number of workloads, for people who ask why: it also has the rules that were left out. Undefined when no
 * workload has that key. `workloads` are those that there are. @default whom the files know
 */
export function fileSnapshots(
  resources: ResourceSet,
  trustDomain: string,
  workloads: readonly MeshWorkload[] = fileProxies(resources),
): (proxy: WorkloadKey) => Snapshot | undefined {
  const byKey = new Map(workloads.map((workload) => [workloadKey(workload), workload]));
  const world = new World({ resources, workloads, trustDomain, tellsSkipped: true }, null);
  return (proxy) => {
    const workload = byKey.get(proxy);
    return workload === undefined ? undefined : snapshotOfView(world.view(workload));
  };
}
