/** The labels that say where a workload stands. Istio gives them to endpoints whose locality is known. */
import type { Labels } from "../model/labels.ts";

/** In the order of a locality: `region/zone/subzone`. */
const TOPOLOGY_LABELS = [
  "topology.kubernetes.io/region",
  "topology.kubernetes.io/zone",
  "topology.istio.io/subzone",
];

interface Placed {
  readonly labels: Labels;
  readonly locality?: string | null;
}

/** A label of a workload, or what its locality says where it has none of that name. */
export function labelOf({ labels, locality }: Placed, key: string): string | undefined {
  if (Object.hasOwn(labels, key)) return labels[key];
  // What is left out of a locality is nowhere, and no place with an empty name.
  return locality?.split("/")[TOPOLOGY_LABELS.indexOf(key)] || undefined;
}

/** Whether a workload, where it stands, has everything that a subset asks for. */
export function isInSubset(workload: Placed, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labelOf(workload, key) === value);
}
