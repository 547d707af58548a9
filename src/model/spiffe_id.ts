/**
 * SPIFFE IDs of workloads, in the one form that the mesh issues and accepts:
 * `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT` (SPIFFE-ID §2, Istio's layout of the path).
 */

export interface SpiffeId {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Of a mesh that nobody gave a name, as in Istio. */
export const TRUST_DOMAIN_DEFAULT = "cluster.local";

/** SPIFFE-ID §2.4: an ID is at most 2048 bytes. */
export const SPIFFE_ID_LENGTH_MAX = 2048;

const FORM = /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([A-Za-z0-9._-]+)\/sa\/([A-Za-z0-9._-]+)$/;

export function formatSpiffeId(id: SpiffeId): string {
  return `spiffe://${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
}

/** The parts of a SPIFFE ID, or undefined when the text is anything but the mesh's form. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > SPIFFE_ID_LENGTH_MAX) return undefined;
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, trustDomain, namespace, serviceAccount] = match as unknown as [string, string, string, string];
  if (isDots(namespace) || isDots(serviceAccount)) return undefined;
  return { trustDomain, namespace, serviceAccount };
}

/** The identity of the control plane in a trust domain: what a sidecar expects to meet behind port 15012. */
export function controlPlaneId(trustDomain: string): string {
  return formatSpiffeId({ trustDomain, namespace: "bowline-system", serviceAccount: "control-plane" });
}

function isDots(segment: string): boolean {
  return segment === "." || segment === "..";
}
