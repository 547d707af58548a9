/** Who sees a resource: `exportTo` of VirtualService, DestinationRule and ServiceEntry. */

/** Kubernetes' Service has no field for it; Istio reads this annotation, names separated by commas. */
export const EXPORT_TO_ANNOTATION = "networking.istio.io/exportTo";

/**
 * Whether a resource of `namespace` is visible to workloads of `clientNamespace`. `*` is everybody, `.` its own
 * namespace, `~` nobody; an empty list is Istio's default, everybody.
 */
export function isVisible(exportTo: readonly string[], namespace: string, clientNamespace: string): boolean {
  if (exportTo.length === 0) return true;
  return exportTo.some((to) =>
    to === "*" || to === clientNamespace || (to === "." && namespace === clientNamespace)
  );
}
