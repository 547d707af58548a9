/**
 * What a gateway has: its ports, the virtual hosts behind them, and of the mesh what is routed to from there and whom
 * policies ask.
 */
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import { type ResourceKey, resourceKey, type VersionedResource } from "../model/snapshot.ts";
import { type ConfigPart, NO_SERVICE, type Viewer } from "./config_view.ts";
import type { Membership } from "./endpoints.ts";
import { extAuthzHosts } from "./ext_authz.ts";
import { clustersOf, gatewayDoors } from "./gateway_listeners.ts";
import type { GatewayRules } from "./gateway_rules.ts";
import { type HostParts, keyOf } from "./host_parts.ts";
import type { ServiceCatalogue } from "./service_catalogue.ts";

export interface GatewaySources {
  readonly mesh: MeshConfigSpec;
  readonly services: ServiceCatalogue;
  readonly gatewayRules: GatewayRules;
  readonly tellsSkipped: boolean;
}

export function gatewayParts(
  { mesh, services, gatewayRules, tellsSkipped }: GatewaySources,
  hostParts: HostParts,
  viewer: Viewer,
): ReadonlyMap<string, ConfigPart> {
  const doors = gatewayDoors(gatewayRules, {
    ...viewer,
    inferredPort: (host, port) => hostParts.inferredPort(host, port, viewer),
    tellsSkipped,
    retries: mesh.defaultHttpRetryPolicy,
  });
  const bodies = [...doors.listeners, ...doors.virtualHosts]
    .map((body) => hostParts.body(keyOf(body.kind, JSON.stringify(body)), () => body));
  const parts = new Map<string, ConfigPart>();
  parts.set(NO_SERVICE, {
    resources: bodies.map((resource) => [resourceKey(resource.body), resource]),
    memberships: [],
  });
  const used = clustersOf(doors);
  const asked = extAuthzHosts(mesh);
  for (const { host, ports } of services.visibleFrom(viewer.namespace).values()) {
    const resources: (readonly [ResourceKey, VersionedResource])[] = [];
    const memberships: Membership[] = [];
    const add = (resource: VersionedResource) => resources.push([resourceKey(resource.body), resource]);
    for (const found of ports) hostParts.addClusters(found, viewer, add, memberships);
    const part = {
      resources: resources.filter(([, { body }]) => asked.has(host) || used.has(body.name)),
      memberships: memberships.filter(({ cluster }) => asked.has(host) || used.has(cluster)),
    };
    if (part.resources.length > 0) parts.set(host, part);
  }
  return parts;
}
