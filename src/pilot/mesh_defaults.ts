/** What holds for the whole mesh: the MeshConfig, and what it says in place of resources that leave it open. */
import type { ConfigResource, ResourceSet } from "../config/resource.ts";
import { MESH_CONFIG_DEFAULT, type MeshConfigSpec } from "../config/schema/mesh_config.ts";

import { EXPORT_TO_ANNOTATION } from "../config/visibility.ts";
import { sameData } from "./stable_resources.ts";

/** The one that holds; Istio's defaults where there is none. */
export function meshConfigOf({ meshConfigs }: Pick<ResourceSet, "meshConfigs">): MeshConfigSpec {
  return meshConfigs[0]?.spec ?? MESH_CONFIG_DEFAULT;
}

/** What of it stands in the settings of each proxy and nowhere else (`pilot/world.ts`). */
const OF_SETTINGS: ReadonlySet<string> = new Set<keyof MeshConfigSpec>([
  "outboundTrafficPolicy",
  "pathNormalization",
  "protocolDetectionTimeout",
  "trustDomainAliases",
  "defaultConfig",
]);

/** Whether all but the proxies' own settings means the same by both. */
export function differInSettingsAlone(mesh: MeshConfigSpec, before: MeshConfigSpec): boolean {
  return mesh === before || sameData(withoutSettings(mesh), withoutSettings(before));
}

function withoutSettings(mesh: MeshConfigSpec): unknown {
  return Object.fromEntries(Object.entries(mesh).filter(([field]) => !OF_SETTINGS.has(field)));
}

/** The resources as they count: those that do not say who sees them say what the mesh does. */
export function withDefaultExports(resources: ResourceSet): ResourceSet {
  const {
    defaultServiceExportTo: services,
    defaultVirtualServiceExportTo: virtualServices,
    defaultDestinationRuleExportTo: destinationRules,
  } = meshConfigOf(resources);
  return {
    ...resources,
    services: annotated(resources.services, services),
    serviceEntries: exported(resources.serviceEntries, services),
    virtualServices: exported(resources.virtualServices, virtualServices),
    destinationRules: exported(resources.destinationRules, destinationRules),
  };
}

function exported<Spec extends { readonly exportTo: readonly string[] }>(
  resources: readonly ConfigResource<Spec>[],
  exportTo: readonly string[],
): readonly ConfigResource<Spec>[] {
  if (exportTo.length === 0) return resources;
  return resources.map((resource) =>
    resource.spec.exportTo.length > 0
      ? resource
      : sameCopy(resource, exportTo, { ...resource, spec: { ...resource.spec, exportTo } })
  );
}

/** Kubernetes' Service says it in an annotation. */
function annotated<Spec>(
  resources: readonly ConfigResource<Spec>[],
  exportTo: readonly string[],
): readonly ConfigResource<Spec>[] {
  if (exportTo.length === 0) return resources;
  const annotation = { [EXPORT_TO_ANNOTATION]: exportTo.join(",") };
  return resources.map((resource) =>
    sameCopy(resource, exportTo, { ...resource, annotations: { ...annotation, ...resource.annotations } })
  );
}

const copies = new WeakMap<ConfigResource<unknown>, { exportTo: readonly string[]; copy: unknown }>();

/** The copy that was made of a resource before, if it says the same: an edit elsewhere must not make it another one. */
function sameCopy<Resource extends ConfigResource<unknown>>(
  resource: Resource,
  exportTo: readonly string[],
  copy: Resource,
): Resource {
  const known = copies.get(resource);
  if (known?.exportTo === exportTo) return known.copy as Resource;
  copies.set(resource, { exportTo, copy });
  return copy;
}
