/** Workloads: the programs that the mesh connects, one address each, with or without a sidecar. */
import type { Labels } from "./labels.ts";

/** `NAMESPACE/NAME`, the key under which a workload is known everywhere. */
export type WorkloadKey = string;

export interface Workload {
  readonly namespace: string;
  readonly name: string;
  /** An IP address, a DNS name that its clients look up, or `unix:///PATH` on their machine. */
  readonly address: string;
  readonly labels: Labels;
  readonly serviceAccount: string;
  /** Port name of a service -> port number of this workload; beats the service's targetPort. */
  readonly ports: Readonly<Record<string, number>>;
  /** Share of the traffic relative to its siblings, 1 or more. */
  readonly weight: number;
  /** `REGION/ZONE/SUBZONE`; what is missing from the end is unknown. @default unknown */
  readonly locality?: string;
  /** It runs bowline: clients reach it over mTLS on its mesh port and never in plain text. */
  readonly hasSidecar: boolean;
}

export function workloadKey(workload: { namespace: string; name: string }): WorkloadKey {
  return `${workload.namespace}/${workload.name}`;
}

/** DNS-1123 label, as Kubernetes and Istio name namespaces and workloads. */
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Splits `NS/NAME`; undefined unless both are lower-case DNS names. */
export function parseWorkloadKey(text: string): { namespace: string; name: string } | undefined {
  const [namespace, name, ...rest] = text.split("/");
  if (namespace === undefined || name === undefined || rest.length > 0) return undefined;
  return NAME.test(namespace) && NAME.test(name) ? { namespace, name } : undefined;
}

/**
 * Istio's canonical service and revision: what metrics call `source_app`/`source_version` and the like.
 * The order of the labels is Istio's.
 */
export function canonicalService(labels: Labels, workloadName: string): string {
  return labels["service.istio.io/canonical-name"] ?? labels["app.kubernetes.io/name"] ?? labels["app"] ??
    workloadName;
}

export function canonicalRevision(labels: Labels): string {
  return labels["service.istio.io/canonical-revision"] ?? labels["app.kubernetes.io/version"] ??
    labels["version"] ?? "latest";
}
