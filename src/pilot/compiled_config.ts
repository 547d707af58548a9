/**
 * One generation of the configuration, made ready: everything that depends on the files and not on which workloads
 * there are. Proxies that see the mesh alike share one view, and views share the bodies that are equal in them.
 */
import { hostMatches } from "../config/host.ts";
import type { ResourceSet } from "../config/resource.ts";
import type { ConnectionPool } from "../config/schema/connection_pool.ts";
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import type { SidecarSpec } from "../config/schema/sidecar.ts";
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
import { BodyCache } from "./body_cache.ts";
import { type ClusterSettings, clusterSettings, comparedByAny, comparedLabels } from "./cluster_settings.ts";
import {
  type ConfigPart,
  ConfigView,
  type ScopedViewer,
  type ViewContent,
  type Viewer,
} from "./config_view.ts";
import { DestinationRules } from "./destination_rules.ts";
import { type Membership, membershipOf } from "./endpoints.ts";
import { clustersOf, gatewayDoors } from "./gateway_listeners.ts";
import { GatewayRules } from "./gateway_rules.ts";
import { listenerOf } from "./listeners.ts";
import { meshConfigOf, withDefaultExports } from "./mesh_defaults.ts";
import { PolicyCatalogue } from "./policies.ts";
import { defaultRoutes, NO_ROUTES, type RouteScope, routesOf } from "./routes.ts";
import {
  ServiceCatalogue,
  type ServiceScope,
  type VisibleHost,
  type VisiblePort,
} from "./service_catalogue.ts";
import { type MeshService, type ServicePort, servicesOf } from "./services.ts";
import { effectivePolicy } from "./traffic_policies.ts";
import { reachOf } from "./upstream_security.ts";
import { SidecarScopes } from "./sidecar_scopes.ts";
import { tcpRoutesOf } from "./tcp_routes.ts";
import { DomainClaims } from "./virtual_hosts.ts";
import { type MeshRule, type RuleScope, VirtualServices } from "./virtual_services.ts";

/** Istio's port of a VirtualService's host that no service has. */
const PORT_OF_UNKNOWN_HOST = 80;

/** No host is called so. */
const NO_SERVICE = "";

export class CompiledConfig {
  readonly #written: ResourceSet;
  readonly mesh: MeshConfigSpec;
  readonly services: ServiceCatalogue;
  readonly policies: PolicyCatalogue;
  /** Keys of labels that some cluster compares with the proxy's own. */
  readonly comparedLabels: readonly string[];
  readonly #virtualServices: VirtualServices;
  readonly #gatewayRules: GatewayRules;
  readonly #sidecars: SidecarScopes;
  readonly #destinationRules: DestinationRules;
  readonly #tellsSkipped: boolean;
  readonly #views = new Map<string, ConfigView>();
  readonly #asked = new Set<ConfigView>();
  /** Versioned bodies by all that they are made of; taken over from generation to generation. */
  readonly #bodies: BodyCache;

  /**
   * `tellsSkipped`: virtual hosts also have the rules that were left out, which proxies have no use for. `previous` is
   * the generation before, with the same answer to that; null: there is none. What it has and still holds is taken over.
   */
  constructor(written: ResourceSet, tellsSkipped: boolean, previous: CompiledConfig | null) {
    this.#tellsSkipped = tellsSkipped;
    this.#written = written;
    this.mesh = meshConfigOf(written);
    // What the mesh says may stand in every body.
    const kept = previous !== null && previous.mesh === this.mesh ? previous : null;
    const before = kept === null ? null : kept.#written;
    const resources = withDefaultExports(written);
    const sameServices = before?.services === written.services &&
      before.serviceEntries === written.serviceEntries;
    this.services = kept !== null && sameServices
      ? kept.services
      : new ServiceCatalogue(servicesOf(resources));
    const samePolicies = before?.authorizationPolicies === written.authorizationPolicies &&
      before.peerAuthentications === written.peerAuthentications;
    this.policies = kept !== null && samePolicies
      ? kept.policies
      : new PolicyCatalogue(written, this.mesh.rootNamespace);
    this.#virtualServices = kept !== null && before?.virtualServices === written.virtualServices
      ? kept.#virtualServices
      : new VirtualServices(
        resources.virtualServices,
        kept === null ? null : kept.#virtualServices,
      );
    this.#destinationRules = kept !== null && before?.destinationRules === written.destinationRules
      ? kept.#destinationRules
      : new DestinationRules(resources.destinationRules, this.mesh.rootNamespace);
    this.comparedLabels = kept !== null && this.#destinationRules === kept.#destinationRules
      ? kept.comparedLabels
      : comparedByAny(resources, this.mesh);
    const sameGateways = before?.gateways === written.gateways &&
      before.virtualServices === written.virtualServices;
    this.#gatewayRules = kept !== null && sameGateways ? kept.#gatewayRules : new GatewayRules(resources);
    this.#sidecars = kept !== null && before?.sidecars === written.sidecars
      ? kept.#sidecars
      : new SidecarScopes(resources.sidecars, this.mesh.rootNamespace);
    this.#bodies = kept === null ? new BodyCache() : kept.#bodies;
    this.#bodies.beginGeneration();
    if (kept !== null) this.#takeViews(kept);
  }

  viewFor(viewer: Viewer): ConfigView {
    const key = this.#viewKey(viewer);
    let view = this.#views.get(key);
    if (view === undefined) {
      view = this.#buildAny(viewer);
      this.#views.set(key, view);
    }
    this.#asked.add(view);
    return view;
  }

  /** The view of the same kind of caller in this generation, if anybody has asked for one. */
  successorOf(view: ConfigView): ConfigView | undefined {
    return this.#views.get(this.#viewKey(view.viewer));
  }

  /** The views that somebody has asked for; with the same services, they change where a rule for a host of theirs did. */
  #takeViews(previous: CompiledConfig): void {
    const rules = this.#virtualServices;
    const before = previous.#virtualServices;
    // Callers are told apart by other labels now, or see another part.
    if (this.#labelKeys.join("\n") !== previous.#labelKeys.join("\n")) return;
    if (this.#sidecars !== previous.#sidecars) return;
    if (this.#gatewayRules.labelKeys.join("\n") !== previous.#gatewayRules.labelKeys.join("\n")) return;
    const rerouted = rules.changedHosts(before);
    const changed = rerouted.union(this.#destinationRules.changedHosts(previous.#destinationRules));
    for (const view of previous.#asked) {
      let next = view;
      const { viewer, claims } = view;
      const narrowed = viewer.role === "gateway" || this.#sidecars.scopeFor(viewer) !== null;
      if (this.services !== previous.services) next = this.#buildAny(viewer);
      else if (narrowed) {
        // What it has hangs on where rules lead; it is little.
        const touched = changed.size > 0 || this.#gatewayRules !== previous.#gatewayRules;
        if (touched) next = this.#buildAny(viewer);
      } else if (changed.size > 0) {
        next = new ConfigView(viewer, claims, () => this.#follow(view, changed, rerouted));
      }
      this.#views.set(this.#viewKey(viewer), next);
    }
  }

  /** `changed` are all hosts and wildcards of changed rules, `rerouted` those of VirtualServices. */
  #follow(
    { viewer, claims, parts: before }: ConfigView,
    changed: ReadonlySet<string>,
    rerouted: ReadonlySet<string>,
  ): ViewContent {
    const parts = new Map(before);
    const hosts = new Set<string>();
    for (const host of matching(changed, this.services.visibleFrom(viewer.namespace))) {
      hosts.add(host.host);
      parts.set(host.host, this.#partOf(host, claims, { ...viewer, scope: null }));
    }
    // Rules for services alone leave the rest as it is: for a host of a rule that is none, no wildcard counts.
    if ([...rerouted].some((host) => !claims.has(host))) {
      hosts.add(NO_SERVICE);
      parts.set(NO_SERVICE, this.#partWithoutService(claims, { ...viewer, scope: null }));
    }
    return { parts, changed: hosts };
  }

  #buildAny(viewer: Viewer): ConfigView {
    if (viewer.role === "gateway") return this.#buildGateway(viewer);
    return this.#build(viewer, this.#scopeOf(viewer));
  }

  /** The Sidecar of a workload; null: there is none. */
  sidecarOf(viewer: Viewer): SidecarSpec | null {
    return viewer.role === "gateway" ? null : this.#sidecars.scopeFor(viewer)?.resource.spec ?? null;
  }

  /** What DestinationRules say of the connections to a workload itself, at a port of a service that it stands behind. */
  inboundPool(workload: Viewer, { info }: MeshService, { number }: ServicePort): ConnectionPool | null {
    const { trafficPolicy } = this.#destinationRules.policyFor(info.host, info.namespace, workload);
    return effectivePolicy(trafficPolicy, null, number).connectionPool;
  }

  /** Hosts and wildcards whose DestinationRules are others than in that generation. */
  hostsOfOtherPolicies(previous: CompiledConfig): ReadonlySet<string> {
    return this.#destinationRules.changedHosts(previous.#destinationRules);
  }

  /** As the workload's Sidecar says, and besides, as in Istio, where the VirtualServices in it lead. */
  #scopeOf(viewer: Viewer): (ServiceScope & RuleScope) | null {
    const scope = this.#sidecars.scopeFor(viewer);
    if (scope === null) return null;
    const rules = this.#virtualServices.visibleFrom(viewer.namespace, scope);
    const reached = new Set(rules.flatMap(({ destinationHosts }) => destinationHosts));
    return {
      seesPort: (host, namespace, port) => reached.has(host) || scope.seesPort(host, namespace, port),
      seesRule: scope.seesRule,
    };
  }

  /** The ports of a gateway, and of the mesh what is routed to from there. */
  #buildGateway(viewer: Viewer): ConfigView {
    const inferredPort = (host: string, port: number) => this.#inferredPort(host, port, viewer);
    const doors = gatewayDoors(this.#gatewayRules, {
      ...viewer,
      inferredPort,
      tellsSkipped: this.#tellsSkipped,
      retries: this.mesh.defaultHttpRetryPolicy,
    });
    const bodies = [...doors.listeners, ...doors.virtualHosts]
      .map((body) => this.#body(keyOf(body.kind, JSON.stringify(body)), () => body));
    const parts = new Map<string, ConfigPart>();
    parts.set(NO_SERVICE, {
      resources: bodies.map((resource) => [resourceKey(resource.body), resource]),
      memberships: [],
    });
    const used = clustersOf(doors);
    const visible = this.services.visibleFrom(viewer.namespace);
    for (const { host, ports } of visible.values()) {
      const resources: (readonly [ResourceKey, VersionedResource])[] = [];
      const memberships: Membership[] = [];
      const add = (resource: VersionedResource) => resources.push([resourceKey(resource.body), resource]);
      for (const found of ports) this.#addClusters(found, viewer, add, memberships);
      const part = {
        resources: resources.filter(([, { body }]) => used.has(body.name)),
        memberships: memberships.filter(({ cluster }) => used.has(cluster)),
      };
      if (part.resources.length > 0) parts.set(host, part);
    }
    const claims = new DomainClaims(visible.values(), viewer.namespace);
    return new ConfigView(viewer, claims, () => ({ parts, changed: null }));
  }

  #build(viewer: Viewer, scope: ScopedViewer["scope"]): ConfigView {
    const visible = this.services.visibleFrom(viewer.namespace, scope);
    const claims = new DomainClaims(visible.values(), viewer.namespace);
    return new ConfigView(viewer, claims, () => {
      const scoped = { ...viewer, scope };
      const parts = new Map<string, ConfigPart>();
      for (const host of visible.values()) parts.set(host.host, this.#partOf(host, claims, scoped));
      parts.set(NO_SERVICE, this.#partWithoutService(claims, scoped));
      return { parts, changed: null };
    });
  }

  #partOf(host: VisibleHost, claims: DomainClaims, viewer: ScopedViewer): ConfigPart {
    const resources: (readonly [ResourceKey, VersionedResource])[] = [];
    const memberships: Membership[] = [];
    const add = (resource: VersionedResource) => resources.push([resourceKey(resource.body), resource]);
    for (const found of host.ports) {
      const routed = this.#virtualHost(host, found, claims, viewer);
      if (routed !== null) add(routed);
      add(this.#listener(host, found, claims, viewer));
      this.#addClusters(found, viewer, add, memberships);
    }
    return { resources, memberships };
  }

  #listener(
    host: VisibleHost,
    found: VisiblePort,
    claims: DomainClaims,
    viewer: ScopedViewer,
  ): VersionedResource {
    const { service, port } = found;
    const { namespace } = service.info;
    const rule = this.#virtualServices.select(host.host, namespace, viewer.namespace, viewer.scope);
    const scope = {
      port: port.number,
      namespace: viewer.namespace,
      labels: viewer.labels,
      inferredPort: (to: string) => this.#inferredPort(to, port.number, viewer),
      retries: null,
    };
    const mayBeTls = port.declared === "tls" || port.declared === "auto";
    const routes = tcpRoutesOf(rule, host.host, mayBeTls, scope);
    const listener = listenerOf(host, found, claims.namesOf(host), routes);
    return this.#body(keyOf("listener", JSON.stringify(listener)), () => listener);
  }

  #partWithoutService(claims: DomainClaims, viewer: ScopedViewer): ConfigPart {
    const found = [...this.#hostsWithoutService(claims, viewer)];
    return { resources: found.map((resource) => [resourceKey(resource.body), resource]), memberships: [] };
  }

  /**
   * The virtual host of a service port. Ports that carry TLS have none: their requests are not to be read. A wildcard
   * that nothing stands behind has none either: such calls pass through to where their own name leads.
   */
  #virtualHost(
    host: VisibleHost,
    { service, port }: VisiblePort,
    claims: DomainClaims,
    viewer: ScopedViewer,
  ): VersionedResource | null {
    if (port.protocol === "tls") return null;
    const rule = port.protocol === "http"
      ? this.#virtualServices.select(host.host, service.info.namespace, viewer.namespace, viewer.scope)
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
      info.name,
      port,
      rule?.serial,
      inferred,
      source,
      ...domains,
    );
    return this.#body(key, (): VirtualHost => {
      const retries = this.mesh.defaultHttpRetryPolicy;
      const scope: RouteScope = {
        port,
        namespace: viewer.namespace,
        labels: viewer.labels,
        inferredPort,
        retries,
      };
      const { routes, skipped } = rule === undefined ? NO_ROUTES : routesOf(rule, scope);
      return {
        kind: "virtualHost",
        name: `${host}:${port}`,
        service: info,
        port,
        domains,
        routes: routes.length > 0 ? routes : defaultRoutes(host, port, retries),
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
    const { trafficPolicy, subsets, rules } = this.#destinationRules
      .policyFor(info.host, info.namespace, viewer);
    const told = this.#tellsSkipped && rules.length > 0
      ? {
        rules: rules.map(({ namespace, name, position: { file, line } }) => ({
          name: `${namespace}/${name}`,
          file,
          line,
        })),
      }
      : {};
    const whole = { name: null, labels: {}, trafficPolicy: null };
    for (const { name: subset, labels, trafficPolicy: own } of [whole, ...subsets]) {
      const policy = effectivePolicy(trafficPolicy, own, port.number);
      const settings = clusterSettings(policy, this.mesh, service, port);
      const name = clusterName(port.number, subset, info.host);
      add(
        this.#cluster({ kind: "cluster", name, service: info, subset, port: port.number }, {
          ...settings,
          ...told,
        }),
      );
      const reach = reachOf(policy.tls, this.mesh.enableAutoMtls);
      const labelKeys = comparedLabels(settings);
      memberships.push(membershipOf({ cluster: name, service, port, labels, reach, labelKeys }));
    }
  }

  #cluster(named: Omit<Cluster, keyof ClusterSettings>, settings: ClusterSettings): VersionedResource {
    const key = keyOf("cluster", JSON.stringify([named, settings]));
    return this.#body(key, (): Cluster => ({ ...named, ...settings }));
  }

  /**
   * Hosts of VirtualServices that no service has: Istio routes them all the same, at the ports of the services that the
   * VirtualService also names, else of a wildcard service that covers them, else at port 80.
   */
  *#hostsWithoutService(claims: DomainClaims, viewer: ScopedViewer): Generator<VersionedResource> {
    const visible = this.services.visibleFrom(viewer.namespace, viewer.scope);
    const done = new Set<string>();
    for (const rule of this.#virtualServices.visibleFrom(viewer.namespace, viewer.scope)) {
      for (const host of rule.hosts) {
        if (claims.has(host) || done.has(host)) continue;
        const { namespace } = rule.resource;
        const selected = this.#virtualServices.select(host, namespace, viewer.namespace, viewer.scope);
        if (selected !== rule) continue;
        if (host.startsWith("*") && [...visible.keys()].some((known) => hostMatches(host, known))) continue;
        done.add(host);
        for (const port of this.#portsFor(rule, host, viewer)) {
          const scope: RouteScope = {
            ...viewer,
            port,
            retries: this.mesh.defaultHttpRetryPolicy,
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

  /** Callers with equal keys see the same. */
  #viewKey(viewer: Viewer): string {
    if (viewer.role === "gateway") {
      return keyOf("gateway", viewer.namespace, ...labelsOf(viewer, this.#gatewayRules.labelKeys));
    }
    const scope = this.#sidecars.scopeFor(viewer);
    return keyOf("sidecar", viewer.namespace, ...this.#relevantLabels(viewer), scope?.key);
  }

  /** Keys of the labels by which rules tell callers apart. */
  get #labelKeys(): readonly string[] {
    return [...this.#virtualServices.sourceLabelKeys, ...this.#destinationRules.selectorLabelKeys];
  }

  /** The labels of a caller that some rule asks for. */
  #relevantLabels(viewer: Viewer): readonly string[] {
    return labelsOf(viewer, this.#labelKeys);
  }

  #body(key: string, build: () => Resource): VersionedResource {
    return this.#bodies.get(key, build);
  }
}

/** The hosts that a set of hosts and wildcards names. */
function matching(
  patterns: ReadonlySet<string>,
  visible: ReadonlyMap<string, VisibleHost>,
): ReadonlySet<VisibleHost> {
  const found = new Set<VisibleHost>();
  for (const pattern of patterns) {
    const exact = visible.get(pattern);
    if (exact !== undefined) found.add(exact);
    if (!pattern.startsWith("*")) continue;
    for (const host of visible.values()) if (hostMatches(pattern, host.host)) found.add(host);
  }
  return found;
}

/** A caller's labels of these keys; nothing for those that it has not. */
function labelsOf({ labels }: Viewer, keys: readonly string[]): readonly string[] {
  return keys.map((key) => Object.hasOwn(labels, key) ? `=${labels[key]}` : "");
}

/** One key of several parts; none of them, all being names, numbers or labels, can have a line break in it. */
function keyOf(...parts: readonly (string | number | undefined)[]): string {
  return parts.join("\n");
}
