/** What files say about whether a sidecar stands before a workload. */
import type { Labels } from "../model/labels.ts";

/** Istio's label that says, whatever else is known, whether a workload speaks the mesh's mTLS. */
const TLS_MODE_LABEL = "security.istio.io/tlsMode";

/**
 * Istio's rule: the label decides; without it a `serviceAccount` means that there is a sidecar (WorkloadEntry: "the
 * service account associated with the workload if a sidecar is present").
 */
export function declaresSidecar(
  labels: Labels,
  serviceAccount: string | null,
): boolean {
  const mode = labels[TLS_MODE_LABEL];
  return mode === undefined ? serviceAccount !== null : mode === "istio";
}

/** Somebody wrote down that this workload must be spoken to in plain text. */
export function deniesSidecar(labels: Labels): boolean {
  return labels[TLS_MODE_LABEL] === "disabled";
}
