/**
 * One generation of the configuration, made ready: everything that depends on the files and not on which workloads
 * there are. Proxies that see the mesh alike share one view.
 */
import { hostMatches } from "../config/host.ts";
import type { ResourceSet } from "../config/resource.ts";
import type { ConnectionPool } from "../config/schema/connection_pool.ts";
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import type { SidecarSpec } from "../config/schema/sidecar.ts";
import { BodyCache } from "./body_cache.ts";
import { comparedByAny } from "./cluster_settings.ts";
import {
  type ConfigPart,
  ConfigView,
  NO_SERVICE,
  type ScopedViewer,
  type ViewContent,
  type Viewer,
} from "./config_view.ts";
import { DestinationRules } from "./destination_rules.ts";
import { extAuthzHosts } from "./ext_authz.ts";
import { gatewayParts } from "./gateway_parts.ts";
import { GatewayRules } from "./gateway_rules.ts";
import { HostParts, keyOf, labelsOf } from "./host_parts.ts";
import { meshConfigOf, withDefaultExports } from "./mesh_defaults.ts";
import { PolicyCatalogue } from "./policies.ts";
import { ServiceCatalogue, type ServiceScope, type VisibleHost } from "./service_catalogue.ts";
import { type MeshService, type ServicePort, servicesOf } from "./services.ts";
import { SidecarScopes } from "./sidecar_scopes.ts";
import { effectivePolicy } from "./traffic_policies.ts";
import { DomainClaims, movedHosts } from "./virtual_hosts.ts";
import { type RuleScope, VirtualServices } from "./virtual_services.ts";

/** What a generation changes of the parts that views have, for all of them. */
interface Changes {
  /** Hosts and wildcards of changed rules, and of rules that may lead to other ports. */
  readonly hosts: ReadonlySet<string>;
  /** Those of changed VirtualServices. */
  readonly rerouted: ReadonlySet<string>;
}

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
  readonly #parts: HostParts;
  readonly #tellsSkipped: boolean;
  readonly #views = new Map<string, ConfigView>();
  readonly #asked = new Set<ConfigView>();
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
      : new ServiceCatalogue(servicesOf(resources), kept === null ? null : kept.services);
    const samePolicies = before?.authorizationPolicies === written.authorizationPolicies &&
      before.peerAuthentications === written.peerAuthentications &&
      before.requestAuthentications === written.requestAuthentications;
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
    this.#parts = new HostParts({
      mesh: this.mesh,
      services: this.services,
      virtualServices: this.#virtualServices,
      destinationRules: this.#destinationRules,
      tellsSkipped,
      bodies: this.#bodies,
    });
    if (kept !== null) this.#takeViews(kept);
  }

  viewFor(viewer: Viewer): ConfigView {
    const key = this.#viewKey(viewer);
    let view = this.#views.get(key);
    if (view === undefined) {
      view = this.#build(viewer);
      this.#views.set(key, view);
    }
    this.#asked.add(view);
    return view;
  }

  /** The view of the same kind of caller in this generation, if anybody has asked for one. */
  successorOf(view: ConfigView): ConfigView | undefined {
    return this.#views.get(this.#viewKey(view.viewer));
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

  /** The views that somebody has asked for. */
  #takeViews(previous: CompiledConfig): void {
    // Callers are told apart by other labels now, or see another part.
    if (this.#parts.labelKeys.join("\n") !== previous.#parts.labelKeys.join("\n")) return;
    if (this.#sidecars !== previous.#sidecars) return;
    if (this.#gatewayRules.labelKeys.join("\n") !== previous.#gatewayRules.labelKeys.join("\n")) return;
    const rerouted = this.#virtualServices.changedHosts(previous.#virtualServices);
    const hosts = rerouted
      .union(this.#destinationRules.changedHosts(previous.#destinationRules))
      .union(this.#virtualServices.hostsLedTo(this.services.changedHosts(previous.services)));
    for (const view of previous.#asked) {
      this.#views.set(this.#viewKey(view.viewer), this.#successor(view, previous, { hosts, rerouted }));
    }
  }

  #successor(view: ConfigView, previous: CompiledConfig, changes: Changes): ConfigView {
    const { viewer } = view;
    const sameServices = this.services === previous.services;
    if (viewer.role === "gateway" || this.#sidecars.scopeFor(viewer) !== null) {
      // What it has hangs on where rules lead; it is little.
      const isSame = sameServices && changes.hosts.size === 0 &&
        this.#gatewayRules === previous.#gatewayRules;
      return isSame ? view : this.#build(viewer);
    }
    const moved = sameServices
      ? new Set<string>()
      : movedHosts(this.services, previous.services, viewer.namespace);
    if (changes.hosts.size === 0 && moved.size === 0) return view;
    return new ConfigView(viewer, () => this.#follow(view, changes, moved));
  }

  #follow(
    { viewer, parts: before }: ConfigView,
    { hosts, rerouted }: Changes,
    moved: ReadonlySet<string>,
  ): ViewContent {
    const parts = new Map(before);
    const scoped = { ...viewer, scope: null };
    const visible = this.services.visibleFrom(viewer.namespace);
    const changed = new Set(moved);
    for (const { host } of matching(hosts, visible)) changed.add(host);
    for (const name of changed) {
      const host = visible.get(name);
      if (host === undefined) parts.delete(name);
      else parts.set(name, this.#parts.partOf(host, scoped));
    }
    // Rules for services alone leave the rest as it is: for a host of a rule that is none, no wildcard counts.
    const claims = new DomainClaims(this.services, viewer.namespace, null);
    if (moved.size > 0 || [...rerouted].some((host) => !claims.has(host))) {
      changed.add(NO_SERVICE);
      parts.set(NO_SERVICE, this.#parts.withoutService(scoped));
    }
    return { parts, changed };
  }

  #build(viewer: Viewer): ConfigView {
    return new ConfigView(viewer, () => {
      const parts = viewer.role === "gateway"
        ? gatewayParts(
          {
            mesh: this.mesh,
            services: this.services,
            gatewayRules: this.#gatewayRules,
            tellsSkipped: this.#tellsSkipped,
          },
          this.#parts,
          viewer,
        )
        : this.#sidecarParts({ ...viewer, scope: this.#scopeOf(viewer) });
      return { parts, changed: null };
    });
  }

  #sidecarParts(viewer: ScopedViewer): ReadonlyMap<string, ConfigPart> {
    const visible = this.services.visibleFrom(viewer.namespace, viewer.scope);
    const parts = new Map<string, ConfigPart>();
    for (const host of visible.values()) parts.set(host.host, this.#parts.partOf(host, viewer));
    parts.set(NO_SERVICE, this.#parts.withoutService(viewer));
    return parts;
  }

  /** As the workload's Sidecar says, and besides, as in Istio, where the VirtualServices in it lead. */
  #scopeOf(viewer: Viewer): (ServiceScope & RuleScope) | null {
    const scope = this.#sidecars.scopeFor(viewer);
    if (scope === null) return null;
    const rules = this.#virtualServices.visibleFrom(viewer.namespace, scope);
    const reached = extAuthzHosts(this.mesh).union(
      new Set(rules.flatMap(({ destinationHosts }) => destinationHosts)),
    );
    return {
      seesPort: (host, namespace, port) => reached.has(host) || scope.seesPort(host, namespace, port),
      seesRule: scope.seesRule,
    };
  }

  /** Callers with equal keys see the same. */
  #viewKey(viewer: Viewer): string {
    if (viewer.role === "gateway") {
      return keyOf("gateway", viewer.namespace, ...labelsOf(viewer, this.#gatewayRules.labelKeys));
    }
    const scope = this.#sidecars.scopeFor(viewer);
    return keyOf("sidecar", viewer.namespace, ...this.#parts.relevantLabels(viewer), scope?.key);
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
