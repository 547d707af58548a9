/** The services that are there and that a caller does not see, for people who ask why a name leads to nothing. */
import type { HiddenService } from "../model/snapshot.ts";
import type { MeshService } from "./services.ts";
import type { VisibleHosts } from "./service_catalogue.ts";
import type { SidecarScope } from "./sidecar_scopes.ts";
import { isVisible } from "../config/visibility.ts";

/** `visible` is what the callers of the namespace see in the scope; null: they have no Sidecar. */
export function hiddenServices(
  services: readonly MeshService[],
  namespace: string,
  visible: VisibleHosts,
  scope: SidecarScope | null,
): readonly HiddenService[] {
  return services.filter(({ info }) => !visible.has(info.host)).map((service) => {
    const { info: { host, namespace: own }, exportTo, aliases, localAliases } = service;
    return {
      names: [host, ...aliases, ...own === namespace ? localAliases : []],
      why: isVisible(exportTo, own, namespace)
        ? `${nameOf(scope)} leaves it out`
        : `the namespace ${own} does not export it to ${namespace}`,
    };
  });
}

function nameOf(scope: SidecarScope | null): string {
  if (scope === null) return "the caller's Sidecar";
  const { namespace, name, position: { file, line } } = scope.resource;
  return `Sidecar ${namespace}/${name} (${file}:${line})`;
}
