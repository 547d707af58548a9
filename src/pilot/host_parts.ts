/**
 * What each host comes to for one kind of caller: the virtual host, the listener and the clusters of its ports. Callers
 * whose parts are equal share their bodies.
 */
import { hostMatches } from "../config/host.ts";
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import type { ServiceInfo } from "../model/call_info.ts";
import { type Resource, resourceKey, type VersionedResource, type VirtualHost } from "../model/snapshot.ts";
import type { SkippedRule } from "../model/route.ts";
import { sameElements } from "../lib/same_elements.ts";
import type { BodyCache } from "./body_cache.ts";
import type { ConfigPart, ScopedViewer, Viewer } from "./config_view.ts";
import type { DestinationRules } from "./destination_rules.ts";
import type { Membership } from "./endpoints.ts";
import { HostClusters, type PortClusters } from "./host_clusters.ts";
import { listenerOf } from "./listeners.ts";
import { defaultRoutes, NO_ROUTES, originOf, type RouteScope, routesOf } from "./routes.ts";
import type { ServiceCatalogue, VisibleHost, VisiblePort } from "./service_catalogue.ts";
import { type BuiltTcpRoutes, requestRoutesOf, tcpRoutesOf, tcpRulesPassedOver } from "./tcp_routes.ts";
import { hasSameResources, type SnapshotEntry } from "./shared_snapshot.ts";
import { DomainClaims } from "./virtual_hosts.ts";
import type { MeshRule } from "./mesh_rule.ts";
import type { PassedOver, VirtualServices } from "./virtual_services.ts";

/** Istio's port of a VirtualService's host that no service has. */
const PORT_OF_UNKNOWN_HOST = 80;

/** What parts are made of, of one generation. */
export interface PartSources {
  readonly mesh: MeshConfigSpec;
  readonly services: ServiceCatalogue;
  readonly virtualServices: VirtualServices;
  readonly destinationRules: DestinationRules;
  /** Virtual hosts and listeners also have the rules that were left out, which proxies have no use for. */
  readonly tellsSkipped: boolean;
  /** Versioned bodies by all that they are made of; taken over from generation to generation. */
  readonly bodies: BodyCache;
}

/** A host at one port, with what is known of its requests. */
interface Routed {
  readonly service: ServiceInfo;
  readonly host: string;
  readonly port: number;
  readonly domains: readonly string[];
  /** The VirtualService that has a say; undefined: there is none. */
  readonly rule: MeshRule | undefined;
}

export class HostParts {
  readonly #of: PartSources;
  readonly #clusters: HostClusters;

  constructor(sources: PartSources) {
    this.#of = sources;
    this.#clusters = new HostClusters(sources);
  }

  partOf(host: VisibleHost, viewer: ScopedViewer): ConfigPart {
    const claims = this.#claimsOf(viewer);
    const resources: SnapshotEntry[] = [];
    const memberships: Membership[] = [];
    const add = (resource: VersionedResource) => resources.push([resourceKey(resource.body), resource]);
    for (const found of host.ports) {
      const routed = this.#virtualHost(host, found, claims, viewer);
      if (routed !== null) add(routed);
      add(this.#listener(host, found, claims, viewer));
      const clusters = this.#clusters.of(found, viewer);
      for (const resource of clusters.resources) add(resource);
      memberships.push(...clusters.memberships);
    }
    return sharedPart({ resources, memberships });
  }

  #listener(
    host: VisibleHost,
    found: VisiblePort,
    claims: DomainClaims,
    viewer: ScopedViewer,
  ): VersionedResource {
    const { declared } = found.port;
    const built = this.#bytes(host, found, declared === "tls" || declared === "auto", viewer);
    const listener = listenerOf(host, found, claims.namesOf(host), built);
    return this.body(keyOf("listener", JSON.stringify(listener)), () => listener);
  }

  /** The rules for bytes at a port. */
  #bytes(
    { host }: VisibleHost,
    { service, port }: VisiblePort,
    mayBeTls: boolean,
    viewer: ScopedViewer,
  ): BuiltTcpRoutes {
    const { namespace } = service.info;
    const rule = this.#of.virtualServices.select(host, namespace, viewer.namespace, viewer.scope);
    const scope = {
      port: port.number,
      namespace: viewer.namespace,
      labels: viewer.labels,
      inferredPort: (to: string) => this.inferredPort(to, port.number, viewer),
      retries: null,
    };
    const { routes, skipped } = tcpRoutesOf(rule, host, mayBeTls, scope);
    const others = this.#passedOver(host, rule, viewer);
    return {
      routes,
      skipped: this.#of.tellsSkipped ? [...others.flatMap(tcpRulesPassedOver), ...skipped] : [],
    };
  }

  /** The part for all hosts that rules name and no service has. */
  withoutService(viewer: ScopedViewer): ConfigPart {
    const found = [...this.#hostsWithoutService(this.#claimsOf(viewer), viewer)];
    const resources = found.map((resource): SnapshotEntry => [resourceKey(resource.body), resource]);
    return sharedPart({ resources, memberships: [] });
  }

  /**
   * The virtual host of a service port. Ports that carry TLS have none: their requests are not to be read. A wildcard
   * that nothing stands behind has none either: such calls pass through to where their own name leads.
   */
  #virtualHost(
    host: VisibleHost,
    found: VisiblePort,
    claims: DomainClaims,
    viewer: ScopedViewer,
  ): VersionedResource | null {
    const { service, port } = found;
    if (port.protocol === "tls") return null;
    const rule = this.#of.virtualServices.select(
      host.host,
      service.info.namespace,
      viewer.namespace,
      viewer.scope,
    );
    const wildcard = host.host.startsWith("*");
    if (wildcard && rule === undefined && service.selector === null && service.inline.length === 0) {
      return null;
    }
    const domains = claims.domainsOf(host, port.number);
    if (port.declared === "tcp") return this.#requestsToBytes(host, found, domains, viewer);
    return this.#routed(
      { service: service.info, host: host.host, port: port.number, domains, rule },
      viewer,
    );
  }

  /** The virtual host of a port that carries bytes: whatever asks for it is led by the rules for bytes. */
  #requestsToBytes(
    host: VisibleHost,
    found: VisiblePort,
    domains: readonly string[],
    viewer: ScopedViewer,
  ): VersionedResource {
    const bytes = this.#bytes(host, found, false, viewer);
    const { routes, skipped } = requestRoutesOf(bytes, domains, this.#of.mesh.defaultHttpRetryPolicy);
    const virtualHost: VirtualHost = {
      kind: "virtualHost",
      name: `${host.host}:${found.port.number}`,
      service: found.service.info,
      port: found.port.number,
      domains,
      routes,
      ...this.#of.tellsSkipped && skipped.length > 0 ? { skipped } : {},
    };
    return this.body(keyOf("virtualHost", JSON.stringify(virtualHost)), () => virtualHost);
  }

  /** The virtual host of a host's port with the routes of its rule; a body that somebody else had made is shared. */
  #routed(routed: Routed, viewer: ScopedViewer): VersionedResource {
    const { tellsSkipped } = this.#of;
    const { service, host, port, domains, rule } = routed;
    const others = this.#passedOver(host, rule, viewer);
    const inferredPort = (destination: string) => this.inferredPort(destination, port, viewer);
    return this.body(routedKey(routed, others, inferredPort, viewer), (): VirtualHost => {
      const retries = this.#of.mesh.defaultHttpRetryPolicy;
      const scope: RouteScope = {
        port,
        namespace: viewer.namespace,
        labels: viewer.labels,
        inferredPort,
        retries,
      };
      const built = rule === undefined ? NO_ROUTES : routesOf(rule, scope);
      const { routes } = built;
      const skipped = tellsSkipped ? [...others.flatMap(rulesPassedOver), ...built.skipped] : [];
      return {
        kind: "virtualHost",
        name: `${host}:${port}`,
        service,
        port,
        domains,
        routes: routes.length > 0 ? routes : defaultRoutes(host, port, retries),
        ...skipped.length > 0 ? { skipped } : {},
      };
    });
  }

  /** VirtualServices that name the host and have no say, where somebody wants to know. */
  #passedOver(host: string, rule: MeshRule | undefined, viewer: ScopedViewer): readonly PassedOver[] {
    const { tellsSkipped, virtualServices } = this.#of;
    return tellsSkipped ? virtualServices.passedOver(host, rule, viewer.namespace, viewer.scope) : [];
  }

  /** A service with one port is called there, any other at the port that the caller called. */
  inferredPort(host: string, callersPort: number, viewer: Viewer): number {
    const ports = this.#of.services.visibleFrom(viewer.namespace).get(host)?.ports ?? [];
    return ports.length === 1 && ports[0] !== undefined ? ports[0].port.number : callersPort;
  }

  /** The clusters of a port, whole and by subset, and who is behind each. */
  clustersOf(found: VisiblePort, viewer: Viewer): PortClusters {
    return this.#clusters.of(found, viewer);
  }

  /**
   * Hosts of VirtualServices that no service has: Istio routes them all the same, at the ports of the services that the
   * VirtualService also names, else of a wildcard service that covers them, else at port 80.
   */
  *#hostsWithoutService(claims: DomainClaims, viewer: ScopedViewer): Generator<VersionedResource> {
    const visible = this.#of.services.visibleFrom(viewer.namespace, viewer.scope);
    const done = new Set<string>();
    for (const rule of this.#of.virtualServices.visibleFrom(viewer.namespace, viewer.scope)) {
      for (const host of rule.hosts) {
        if (claims.has(host) || done.has(host)) continue;
        const { namespace } = rule.resource;
        const selected = this.#of.virtualServices.select(host, namespace, viewer.namespace, viewer.scope);
        if (selected !== rule) continue;
        if (host.startsWith("*") && [...visible.keys()].some((known) => hostMatches(host, known))) continue;
        done.add(host);
        for (const port of this.#portsFor(rule, host, viewer)) {
          const scope: RouteScope = {
            ...viewer,
            port,
            retries: this.#of.mesh.defaultHttpRetryPolicy,
            inferredPort: (to) => this.inferredPort(to, port, viewer),
          };
          // Nothing stands behind the host itself: without routes there is nothing to fall back to.
          if (routesOf(rule, scope).routes.length === 0) continue;
          const domains = port === PORT_OF_UNKNOWN_HOST ? [host, `${host}:${port}`] : [`${host}:${port}`];
          yield this.#routed({ service: { host, name: host, namespace }, host, port, domains, rule }, viewer);
        }
      }
    }
  }

  #portsFor(rule: MeshRule, host: string, viewer: Viewer): readonly number[] {
    const visible = this.#of.services.visibleFrom(viewer.namespace);
    const siblings = rule.hosts.flatMap((other) => visible.get(other)?.ports ?? []);
    const ports = siblings.length > 0
      ? siblings
      : this.#of.services.wildcardFor(host, viewer.namespace)?.ports ?? [];
    const numbers = ports.filter(({ port }) => port.protocol === "http").map(({ port }) => port.number);
    return numbers.length > 0 ? [...new Set(numbers)] : [PORT_OF_UNKNOWN_HOST];
  }

  /** The body of a key with its version. */
  body(key: string, build: () => Resource): VersionedResource {
    return this.#of.bodies.get(key, build);
  }

  #claimsOf({ namespace, scope }: ScopedViewer): DomainClaims {
    return new DomainClaims(this.#of.services, namespace, scope);
  }
}

/** By its first resource, what was last made: a host is mostly the same for every namespace but its own. */
const lastParts = new WeakMap<VersionedResource, ConfigPart>();

/** The same object for all callers to whom a host comes to the same: kept for each, it would be most of pilot's memory. */
function sharedPart(part: ConfigPart): ConfigPart {
  const first = part.resources[0]?.[1];
  if (first === undefined) return part;
  const known = lastParts.get(first);
  const isSame = known !== undefined && sameElements(known.memberships, part.memberships) &&
    hasSameResources(known.resources, part.resources);
  if (isSame) return known;
  lastParts.set(first, part);
  return part;
}

/** All that such a virtual host is made of. */
function routedKey(
  { service, port, domains, rule }: Routed,
  others: readonly PassedOver[],
  inferredPort: (destination: string) => number,
  viewer: Viewer,
): string {
  return keyOf(
    "virtualHost",
    service.host,
    service.namespace,
    service.name,
    port,
    rule?.serial,
    rule?.portlessHosts.map(inferredPort).join(" "),
    rule?.asksForSource ? keyOf(viewer.namespace, ...labelsOf(viewer, rule.sourceLabelKeys)) : "",
    ...domains,
    ...others.map(({ resource, why }) => `${resource.namespace}/${resource.name} ${why}`),
  );
}

/** Each rule of a VirtualService that has no say, before those of the one that has. */
function rulesPassedOver({ resource, why }: PassedOver): readonly SkippedRule[] {
  return resource.spec.http.map((_, index) => ({
    origin: originOf(resource, "http", index),
    before: 0,
    why,
  }));
}

/** A caller's labels of these keys; nothing for those that it has not. */
export function labelsOf({ labels }: Viewer, keys: readonly string[]): readonly string[] {
  return keys.map((key) => Object.hasOwn(labels, key) ? `=${labels[key]}` : "");
}

/** One key of several parts; none of them, all being names, numbers or labels, can have a line break in it. */
export function keyOf(...parts: readonly (string | number | undefined)[]): string {
  return parts.join("\n");
}
