/**
 * One generation of the configuration, made ready: everything that depends on the files and not on which workloads
 * there are. Proxies that see the mesh alike share one view, and views share the bodies that are equal in them.
 */
import { hostMatches } from "../config/host.ts";
import type { ResourceSet } from "../config/resource.ts";
import { contentHash } from "../lib/hash.ts";
import {
  type Cluster,
  clusterName,
  type Resource,
  type ResourceKey,
  resourceKey,
  type ServiceInfo,
  type VersionedResource,
  type VirtualHost,
} from "../model/snapshot.ts";
import { type DestinationPolicy, DestinationRules } from "./destination_rules.ts";
import type { Membership } from "./endpoints.ts";
import { listenerOf } from "./listeners.ts";
import { defaultRoutes, NO_ROUTES, type RouteScope, routesOf } from "./routes.ts";
import { ServiceCatalogue, type VisibleHost, type VisiblePort } from "./service_catalogue.ts";
import { servicesOf } from "./services.ts";
import { DomainClaims } from "./virtual_hosts.ts";
import { type MeshRule, VirtualServices } from "./virtual_services.ts";

/** DestinationRule's `connectionPool.tcp.connectTimeout` when nothing is said. */
const CONNECT_TIMEOUT_DEFAULT_MS = 10_000;

/** Istio's port of a VirtualService's host that no service has. */
const PORT_OF_UNKNOWN_HOST = 80;

/** A caller, as far as the configuration tells callers apart. */
export interface Viewer {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a kind of caller sees, without endpoints. */
export interface ConfigView {
  readonly resources: readonly (readonly [key: ResourceKey, resource: VersionedResource])[];
  /** One for each cluster. */
  readonly memberships: readonly Membership[];
}

export class CompiledConfig {
  readonly services: ServiceCatalogue;
  readonly #virtualServices: VirtualServices;
  readonly #destinationRules: DestinationRules;
  readonly #tellsSkipped: boolean;
  readonly #views = new Map<string, ConfigView>();
  /** Versioned bodies by all that they are made of. */
  readonly #bodies = new Map<string, VersionedResource>();
  readonly #memberships = new Map<string, Membership>();

  /** `tellsSkipped`: virtual hosts also have the rules that were left out, which proxies have no use for. */
  constructor(resources: ResourceSet, tellsSkipped: boolean) {
    this.#tellsSkipped = tellsSkipped;
    this.services = new ServiceCatalogue(servicesOf(resources));
    this.#virtualServices = new VirtualServices(resources.virtualServices);
    this.#destinationRules = new DestinationRules(resources.destinationRules);
  }

  viewFor(viewer: Viewer): ConfigView {
    const key = keyOf(viewer.namespace, ...this.#relevantLabels(viewer));
    let view = this.#views.get(key);
    if (view === undefined) {
      view = this.#build(viewer);
      this.#views.set(key, view);
    }
    return view;
  }

  #build(viewer: Viewer): ConfigView {
    const visible = this.services.visibleFrom(viewer.namespace);
    const claims = new DomainClaims(visible.values(), viewer.namespace);
    const resources: (readonly [ResourceKey, VersionedResource])[] = [];
    const memberships: Membership[] = [];
    const add = (resource: VersionedResource) => resources.push([resourceKey(resource.body), resource]);
    for (const host of visible.values()) {
      for (const found of host.ports) {
        const routed = this.#virtualHost(host, found, claims, viewer);
        if (routed !== null) add(routed);
        add(this.#listener(host, found, claims));
        this.#addClusters(found, viewer, add, memberships);
      }
    }
    for (const resource of this.#hostsWithoutService(claims, viewer)) add(resource);
    return { resources, memberships };
  }

  #listener(host: VisibleHost, found: VisiblePort, claims: DomainClaims): VersionedResource {
    const names = claims.namesOf(host);
    const listener = listenerOf(host, found, names);
    return this.#body(keyOf("listener", JSON.stringify(listener)), () => listener);
  }

  /**
   * The virtual host of a service port. Ports that carry TLS have none: their requests are not to be read. A wildcard
   * that nothing stands behind has none either: such calls pass through to where their own name leads.
   */
  #virtualHost(
    host: VisibleHost,
    { service, port }: VisiblePort,
    claims: DomainClaims,
    viewer: Viewer,
  ): VersionedResource | null {
    if (port.protocol === "tls") return null;
    const rule = port.protocol === "http"
      ? this.#virtualServices.select(host.host, service.info.namespace, viewer.namespace)
      : undefined;
    const wildcard = host.host.startsWith("*");
    if (wildcard && rule === undefined && service.selector === null && service.inline.length === 0) {
      return null;
    }
    const domains = claims.domainsOf(host, port.number);
    return this.#routed(service.info, host.host, port.number, domains, rule, viewer);
  }

  #routed(
    info: ServiceInfo,
    host: string,
    port: number,
    domains: readonly string[],
    rule: MeshRule | undefined,
    viewer: Viewer,
  ): VersionedResource {
    const inferredPort = (destination: string) => this.#inferredPort(destination, port, viewer);
    const source = rule?.asksForSource ? keyOf(viewer.namespace, ...this.#relevantLabels(viewer)) : "";
    const inferred = rule?.portlessHosts.map(inferredPort).join(" ");
    const key = keyOf(
      "virtualHost",
      info.host,
      info.namespace,
      port,
      rule?.key,
      inferred,
      source,
      ...domains,
    );
    return this.#body(key, (): VirtualHost => {
      const scope: RouteScope = { port, namespace: viewer.namespace, labels: viewer.labels, inferredPort };
      const { routes, skipped } = rule === undefined ? NO_ROUTES : routesOf(rule, scope);
      return {
        kind: "virtualHost",
        name: `${host}:${port}`,
        service: info,
        port,
        domains,
        routes: routes.length > 0 ? routes : defaultRoutes(host, port),
        ...this.#tellsSkipped && skipped.length > 0 ? { skipped } : {},
      };
    });
  }

  /** A service with one port is called there, any other at the port that the caller called. */
  #inferredPort(host: string, callersPort: number, viewer: Viewer): number {
    const ports = this.services.visibleFrom(viewer.namespace).get(host)?.ports ?? [];
    return ports.length === 1 && ports[0] !== undefined ? ports[0].port.number : callersPort;
  }

  #addClusters(
    { service, port }: VisiblePort,
    viewer: Viewer,
    add: (resource: VersionedResource) => void,
    memberships: Membership[],
  ): void {
    const { info } = service;
    const policy: DestinationPolicy = this.#destinationRules.policyFor(
      info.host,
      info.namespace,
      viewer.namespace,
    );
    const whole = { name: null, labels: {}, balancer: policy.balancer };
    for (const { name: subset, labels, balancer } of [whole, ...policy.subsets]) {
      const name = clusterName(port.number, subset, info.host);
      const clusterKey = keyOf(
        "cluster",
        name,
        info.namespace,
        balancer,
        port.http,
        String(service.toOriginalDestination),
      );
      add(this.#body(clusterKey, (): Cluster => ({
        kind: "cluster",
        name,
        service: info,
        subset,
        port: port.number,
        balancer,
        connectTimeoutMs: CONNECT_TIMEOUT_DEFAULT_MS,
        protocol: port.http,
        ...(service.toOriginalDestination ? { toOriginalDestination: true } : {}),
      })));
      const memberKey = keyOf(name, info.namespace, ...Object.entries(labels).flat());
      const membership = this.#memberships.get(memberKey) ?? { cluster: name, service, port, labels };
      this.#memberships.set(memberKey, membership);
      memberships.push(membership);
    }
  }

  /**
   * Hosts of VirtualServices that no service has: Istio routes them all the same, at the ports of the services that the
   * VirtualService also names, else of a wildcard service that covers them, else at port 80.
   */
  *#hostsWithoutService(claims: DomainClaims, viewer: Viewer): Generator<VersionedResource> {
    const visible = this.services.visibleFrom(viewer.namespace);
    for (const rule of this.#virtualServices.visibleFrom(viewer.namespace)) {
      for (const host of rule.hosts) {
        const { namespace } = rule.resource;
        if (this.#virtualServices.select(host, namespace, viewer.namespace) !== rule) continue;
        if (host.startsWith("*") && [...visible.keys()].some((known) => hostMatches(host, known))) continue;
        if (!claims.claimHost(host)) continue;
        for (const port of this.#portsFor(rule, host, viewer)) {
          const scope: RouteScope = {
            ...viewer,
            port,
            inferredPort: (to) => this.#inferredPort(to, port, viewer),
          };
          // Nothing stands behind the host itself: without routes there is nothing to fall back to.
          if (routesOf(rule, scope).routes.length === 0) continue;
          const domains = port === PORT_OF_UNKNOWN_HOST ? [host, `${host}:${port}`] : [`${host}:${port}`];
          yield this.#routed({ host, name: host, namespace }, host, port, domains, rule, viewer);
        }
      }
    }
  }

  #portsFor(rule: MeshRule, host: string, viewer: Viewer): readonly number[] {
    const visible = this.services.visibleFrom(viewer.namespace);
    const siblings = rule.hosts.flatMap((other) => visible.get(other)?.ports ?? []);
    const ports = siblings.length > 0
      ? siblings
      : this.services.wildcardFor(host, viewer.namespace)?.ports ?? [];
    const numbers = ports.filter(({ port }) => port.protocol === "http").map(({ port }) => port.number);
    return numbers.length > 0 ? [...new Set(numbers)] : [PORT_OF_UNKNOWN_HOST];
  }

  /** The labels of a caller that some rule asks for. */
  #relevantLabels({ labels }: Viewer): readonly string[] {
    return this.#virtualServices.sourceLabelKeys.map((key) =>
      Object.hasOwn(labels, key) ? `=${labels[key]}` : ""
    );
  }

  #body(key: string, build: () => Resource): VersionedResource {
    let resource = this.#bodies.get(key);
    if (resource === undefined) {
      const body = build();
      resource = { version: contentHash(body), body };
      this.#bodies.set(key, resource);
    }
    return resource;
  }
}

/** One key of several parts; none of them, all being names, numbers or labels, can have a line break in it. */
function keyOf(...parts: readonly (string | number | undefined)[]): string {
  return parts.join("\n");
}
