/** One member of a cluster, as its clients are told of it. */
import { deniesSidecar } from "../config/sidecar_label.ts";
import { labelOf } from "../config/topology_labels.ts";
import type { Labels } from "../model/labels.ts";
import type { Endpoint } from "../model/cluster.ts";
import type { WorkloadInfo } from "../model/call_info.ts";
import { formatSpiffeId } from "../model/spiffe_id.ts";
import { canonicalRevision, canonicalService, type WorkloadKey, workloadKey } from "../model/workload.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { type ServicePort, targetPortOf } from "./services.ts";
import type { Reach } from "./upstream_security.ts";

/** What endpoints depend on besides their workloads. */
export interface EndpointRules {
  readonly trustDomain: string;
  /** Whether a workload's port is called in plain text, for the files say so (PeerAuthentication); null: none is. */
  readonly isPlain: ((workload: MeshWorkload, port: number) => boolean) | null;
}

/** What an endpoint of one cluster depends on besides. */
export interface EndpointScope {
  readonly port: ServicePort;
  readonly reach: Reach;
  /** Labels that the cluster compares. */
  readonly labelKeys: readonly string[];
}

export function endpointOf(
  workload: MeshWorkload,
  { port, reach, labelKeys }: EndpointScope,
  { trustDomain, isPlain }: EndpointRules,
): Endpoint {
  const ownPort = targetPortOf(port, workload);
  // Where nobody stands before a workload it is asked itself, as in Istio: a gateway by what its Gateways say of the port.
  const direct = reach === "mesh" && (workload.role === "gateway" || deniesSidecar(workload.labels));
  const overMesh = reach === "mesh" ||
    (reach === "auto" && workload.hasSidecar && !(isPlain?.(workload, ownPort) ?? false));
  const labels = labelsOf(workload, labelKeys);
  return {
    address: workload.address,
    port: ownPort,
    weight: workload.weight,
    // Who is not known to have a sidecar must show the identity that it would have.
    workload: workloadInfo(overMesh ? { ...workload, hasSidecar: true } : workload, trustDomain),
    meshPort: direct ? ownPort : overMesh ? workload.meshPort : null,
    ...(direct ? { direct } : {}),
    ...(workload.unhealthy ? { health: "unhealthy" as const } : {}),
    ...(workload.locality === undefined ? {} : { locality: workload.locality }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
}

/** The labels of a workload as far as somebody compares them. */
export function labelsOf(workload: MeshWorkload, keys: readonly string[]): Labels {
  const found = keys.map((key) => [key, labelOf(workload, key)] as const);
  return Object.fromEntries(found.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** What metrics and the graph call a workload. */
export function workloadInfo(workload: MeshWorkload, trustDomain: string): WorkloadInfo {
  const { namespace, name, serviceAccount, labels } = workload;
  const key: WorkloadKey = workloadKey(workload);
  const identified = workload.hasSidecar && serviceAccount !== "";
  return {
    key,
    namespace,
    name,
    principal: identified ? formatSpiffeId({ trustDomain, namespace, serviceAccount }) : "",
    app: canonicalService(labels, name),
    version: canonicalRevision(labels),
  };
}
