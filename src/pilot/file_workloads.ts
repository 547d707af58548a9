/** What the files say about workloads: one per WorkloadEntry. */
import type { ConfigResource } from "../config/resource.ts";
import type { GatewaySpec } from "../config/schema/gateway.ts";
import type { WorkloadEntrySpec } from "../config/schema/workload_entry.ts";
import { declaresSidecar } from "../config/sidecar_label.ts";
import { hasLabels, type Labels } from "../model/labels.ts";
import type { HealthProbe } from "../model/health_probe.ts";
import { PORTS } from "../model/ports.ts";
import type { Workload } from "../model/workload.ts";

/** A workload as the control plane knows it. */
export interface MeshWorkload extends Workload {
  /** Port of its mesh listener; only means something with `hasSidecar`. */
  readonly meshPort: number;
  /** Its proxy has said good-bye, and is still there or not: nobody is sent there while there is anybody else. */
  readonly leaving?: "draining" | "gone";
  /** "gateway": it serves Gateways, and no program stands behind it. @default "sidecar" */
  readonly role?: "sidecar" | "gateway";
  /** How its health is found out. @default none */
  readonly probe?: HealthProbe;
  /** Its probe failed, or has yet to speak: nobody is sent there. */
  readonly unhealthy?: true;
}

/** What `GET /v1/workloads` of a control plane's admin socket answers: all that there are, in a file or not. */
export interface KnownWorkloads {
  readonly trustDomain: string;
  readonly workloads: readonly MeshWorkload[];
}

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

/**
 * Whether workloads with these labels are gateways, as far as files can tell: nothing in them says what runs there, but
 * Gateways select by labels who serves them.
 */
export function selectsGateways(
  gateways: readonly ConfigResource<GatewaySpec>[],
): (labels: Labels) => boolean {
  const selectors = gateways.map(({ spec }) => spec.selector).filter((one) => Object.keys(one).length > 0);
  return (labels) => selectors.some((selector) => hasLabels(labels, selector));
}

/** Every workload that the files alone know, sorted as the resource set is: what `explain` works with. */
export function fileWorkloads(
  entries: readonly ConfigResource<WorkloadEntrySpec>[],
): readonly MeshWorkload[] {
  return entries.map(workloadOfEntry);
}
