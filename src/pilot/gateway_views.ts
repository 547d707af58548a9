/**
 * What a gateway has: its ports, the virtual hosts behind them, and of the mesh what is routed to from there and whom
 * policies ask. Ports and hosts are looked at anew in each generation, which costs little: what they are made of keeps
 * its body.
 */
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import { clusterHost } from "../model/cluster.ts";
import { resourceKey, type VersionedResource } from "../model/snapshot.ts";
import type { ConfigPart, ViewContent, Viewer } from "./config_view.ts";
import { extAuthzHosts } from "./ext_authz.ts";
import { clustersOf, gatewayDoors } from "./gateway_listeners.ts";
import type { GatewayRules } from "./gateway_rules.ts";
import type { GenerationChanges } from "./generation_changes.ts";
import { type HostParts, keyOf } from "./host_parts.ts";
import type { ServiceCatalogue, VisibleHost } from "./service_catalogue.ts";
import { matching } from "./virtual_hosts.ts";

/** What they are made of, of one generation. */
export interface GatewaySources {
  readonly mesh: MeshConfigSpec;
  readonly services: ServiceCatalogue;
  readonly gatewayRules: GatewayRules;
  readonly tellsSkipped: boolean;
  readonly parts: HostParts;
}

const NOTHING: ReadonlyMap<string, ConfigPart> = new Map();

export class GatewayViews {
  readonly #of: GatewaySources;

  constructor(sources: GatewaySources) {
    this.#of = sources;
  }

  make(viewer: Viewer): ViewContent {
    return { parts: this.#partsOf(viewer, NOTHING, () => false), changed: null, scope: null };
  }

  /** What `viewer` has, who had `before` in the generation before that had `services`. */
  follow(
    viewer: Viewer,
    { parts: before }: ViewContent,
    services: ServiceCatalogue,
    changes: GenerationChanges,
  ): ViewContent {
    const visible = this.#of.services.visibleFrom(viewer.namespace);
    const saw = services.visibleFrom(viewer.namespace);
    const others = matching(changes.hosts, visible);
    const isSame = (host: VisibleHost) => !others.has(host.host) && saw.get(host.host) === host;
    const parts = this.#partsOf(viewer, before, isSame);
    const changed = new Set<string>();
    for (const [name, part] of parts) if (before.get(name) !== part) changed.add(name);
    for (const name of before.keys()) if (!parts.has(name)) changed.add(name);
    return { parts, changed, scope: null };
  }

  /** `isSame`: the clusters of a host are what they were `before`, as far as they are used. */
  #partsOf(
    viewer: Viewer,
    before: ReadonlyMap<string, ConfigPart>,
    isSame: (host: VisibleHost) => boolean,
  ): ReadonlyMap<string, ConfigPart> {
    const { mesh, services, gatewayRules, tellsSkipped, parts: hostParts } = this.#of;
    const doors = gatewayDoors(gatewayRules, {
      ...viewer,
      inferredPort: (host, port) => hostParts.inferredPort(host, port, viewer),
      tellsSkipped,
      retries: mesh.defaultHttpRetryPolicy,
      body: (key, build) => hostParts.body(key, build),
    });
    const listeners = doors.listeners
      .map((body) => hostParts.body(keyOf(body.kind, JSON.stringify(body)), () => body));
    const parts = new Map<string, ConfigPart>();
    for (const resource of [...listeners, ...doors.virtualHosts]) {
      // No host is called as a resource is.
      parts.set(resourceKey(resource.body), partOf(resource));
    }
    const visible = services.visibleFrom(viewer.namespace);
    const asked = extAuthzHosts(mesh);
    const used = Map.groupBy(clustersOf(doors), clusterHost);
    for (const name of new Set([...used.keys(), ...asked])) {
      const host = visible.get(name);
      if (host === undefined) continue;
      const wanted = asked.has(name) ? null : used.get(name) as readonly string[];
      const known = isSame(host) ? before.get(name) : undefined;
      const part = known !== undefined && hasClusters(known, wanted)
        ? known
        : this.#clusters(host, viewer, wanted);
      if (part.resources.length > 0) parts.set(name, part);
    }
    return parts;
  }

  /** The clusters of a host that are wanted, by name; null: all. */
  #clusters(host: VisibleHost, viewer: Viewer, wanted: readonly string[] | null): ConfigPart {
    const clusters = host.ports.map((found) => this.#of.parts.clustersOf(found, viewer));
    const resources = clusters.flatMap(({ resources }) =>
      resources.map((resource) => [resourceKey(resource.body), resource] as const)
    );
    const memberships = clusters.flatMap(({ memberships }) => memberships);
    if (wanted === null) return { resources, memberships };
    return {
      resources: resources.filter(([, { body }]) => wanted.includes(body.name)),
      memberships: memberships.filter(({ cluster }) => wanted.includes(cluster)),
    };
  }
}

const partsOfResources = new WeakMap<VersionedResource, ConfigPart>();

function partOf(resource: VersionedResource): ConfigPart {
  const known = partsOfResources.get(resource) ??
    { resources: [[resourceKey(resource.body), resource]], memberships: [] };
  partsOfResources.set(resource, known);
  return known;
}

function hasClusters({ memberships }: ConfigPart, wanted: readonly string[] | null): boolean {
  return wanted === null ||
    (wanted.length === memberships.length && memberships.every(({ cluster }) => wanted.includes(cluster)));
}
