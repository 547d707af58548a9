/** Host names in Istio's resources: what is a valid one, and which service a short one means. */

/** The DNS suffix of services in the mesh, after `NAME.NAMESPACE`. */
export const SERVICE_SUFFIX = "svc.cluster.local";

/** RFC 1035 §2.3.4, without the trailing dot. */
export const HOST_LENGTH_MAX = 253;

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * The full name of `host` as written in a resource of `namespace`: a name without a dot is a service of that
 * namespace (Istio resolves with the rule's namespace, not the service's); any other name is already full.
 * Lower case.
 */
export function resolveHost(host: string, namespace: string): string {
  const name = host.toLowerCase();
  return name.includes(".") || name === "*" ? name : serviceHost(name, namespace);
}

/** `recommendation.tutorial.svc.cluster.local` for the Kubernetes Service `recommendation` of `tutorial`. */
export function serviceHost(name: string, namespace: string): string {
  return `${name}.${namespace}.${SERVICE_SUFFIX}`;
}

/** A DNS name in lower case, of one label or more. */
export function isHostName(host: string): boolean {
  return host.length <= HOST_LENGTH_MAX && host.split(".").every((label) => LABEL.test(label));
}

/** `*`, or `*.` or `*-` and a DNS name (Istio allows a wildcard in front alone). */
export function isWildcardHost(host: string): boolean {
  if (host === "*") return true;
  if (!host.startsWith("*")) return false;
  const rest = host.slice(1);
  return rest.startsWith(".") ? isHostName(rest.slice(1)) : rest.startsWith("-") && isHostName(`x${rest}`);
}

/** Whether `pattern`, a full name or a wildcard, covers the full name or wildcard `host`. Both lower case. */
export function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith("*")) return pattern === host;
  const suffix = pattern.slice(1);
  return host.endsWith(suffix) && (host.length > suffix.length || suffix === "");
}
