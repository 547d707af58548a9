/** What the files say about workloads: one per WorkloadEntry. */
import type { ConfigResource } from "../config/resource.ts";
import type { WorkloadEntrySpec } from "../config/schema/workload_entry.ts";
import type { HealthProbe } from "../model/health_probe.ts";
import { PORTS } from "../model/ports.ts";
import type { Workload } from "../model/workload.ts";

/** A workload as the control plane knows it. */
export interface MeshWorkload extends Workload {
  /** Port of its mesh listener; only means something with `hasSidecar`. */
  readonly meshPort: number;
  /** Its proxy has said good-bye, and is still there or not: nobody is sent there while there is anybody else. */
  readonly leaving?: "draining" | "gone";
  /** It serves Gateways, and nothing stands behind it. @default "sidecar" */
  readonly role?: "sidecar" | "gateway";
  /** How its health is found out. @default none */
  readonly probe?: HealthProbe;
  /** Its probe failed, or has yet to speak: nobody is sent there. */
  readonly unhealthy?: true;
}

/** Istio's label that says, whatever else is known, whether a workload speaks the mesh's mTLS. */
export const TLS_MODE_LABEL = "security.istio.io/tlsMode";

/**
 * The workload of a WorkloadEntry. Labels of the metadata beat those of the spec, as in Istio. Without a
 * `serviceAccount` the account is the entry's name, which is also what a join token for it says.
 */
export function workloadOfEntry(entry: ConfigResource<WorkloadEntrySpec>): MeshWorkload {
  const { spec } = entry;
  const labels = { ...spec.labels, ...entry.labels };
  return {
    namespace: entry.namespace,
    name: entry.name,
    address: spec.address,
    labels,
    serviceAccount: spec.serviceAccount ?? entry.name,
    ports: spec.ports,
    weight: spec.weight,
    ...placeOf(spec),
    hasSidecar: declaresSidecar(labels, spec.serviceAccount),
    meshPort: PORTS.mesh,
  };
}

/** Where the files say that a workload stands. */
export function placeOf({ locality }: Pick<WorkloadEntrySpec, "locality">): Pick<Workload, "locality"> {
  return locality === null ? {} : { locality };
}

/** Every workload that the files alone know, sorted as the resource set is: what `explain` works with. */
export function fileWorkloads(
  entries: readonly ConfigResource<WorkloadEntrySpec>[],
): readonly MeshWorkload[] {
  return entries.map(workloadOfEntry);
}

/**
 * Istio's rule for what the files say: the label decides; without it a `serviceAccount` means that there is a sidecar
 * (WorkloadEntry: "the service account associated with the workload if a sidecar is present").
 */
export function declaresSidecar(
  labels: Readonly<Record<string, string>>,
  serviceAccount: string | null,
): boolean {
  const mode = labels[TLS_MODE_LABEL];
  return mode === undefined ? serviceAccount !== null : mode === "istio";
}

/** Somebody wrote down that this workload must be spoken to in plain text. */
export function deniesSidecar(labels: Readonly<Record<string, string>>): boolean {
  return labels[TLS_MODE_LABEL] === "disabled";
}
