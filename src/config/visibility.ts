/** Who sees a resource: `exportTo` of VirtualService, DestinationRule and ServiceEntry, an annotation of Service. */

/** Kubernetes' Service has no field for it; Istio reads this annotation, names separated by commas. */
export const EXPORT_TO_ANNOTATION = "networking.istio.io/exportTo";

/** What that annotation says; empty without it. */
export function exportToOf(annotations: Readonly<Record<string, string>>): readonly string[] {
  return annotations[EXPORT_TO_ANNOTATION]?.split(",").map((part) => part.trim()) ?? [];
}

export interface Exported {
  readonly namespace: string;
  readonly exportTo: readonly string[];
}

/** Namespaces that see a resource; `*` is all, empty is none. */
export function viewersOf({ namespace, exportTo }: Exported): ReadonlySet<string> {
  if (exportTo.length === 0) return new Set(["*"]);
  return new Set(exportTo.filter((name) => name !== "~").map((name) => name === "." ? namespace : name));
}

/** Whether some namespace sees both. */
export function sharesViewers(a: Exported, b: Exported): boolean {
  const [viewersOfA, viewersOfB] = [viewersOf(a), viewersOf(b)];
  if (viewersOfA.has("*")) return viewersOfB.size > 0;
  return viewersOfB.has("*") ? viewersOfA.size > 0 : !viewersOfA.isDisjointFrom(viewersOfB);
}

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
