/**
 * One generation of the configuration, made ready: everything that depends on the files and not on which workloads
 * there are. Proxies that see the mesh alike share one view.
 */
import type { ResourceSet } from "../config/resource.ts";
import type { ConnectionPool } from "../config/schema/connection_pool.ts";
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import type { SidecarSpec } from "../config/schema/sidecar.ts";
import type { HiddenService, UnboundRules } from "../model/snapshot.ts";
import { sameElements } from "../lib/same_elements.ts";
import { BodyCache } from "./body_cache.ts";
import { comparedByAny } from "./cluster_settings.ts";
import { ConfigView, type Viewer } from "./config_view.ts";
import { DestinationRules } from "./destination_rules.ts";
import { GatewayRules } from "./gateway_rules.ts";
import { GatewayViews } from "./gateway_views.ts";
import { changesBetween, type GenerationChanges, isNothing } from "./generation_changes.ts";
import { HostParts, keyOf, labelsOf } from "./host_parts.ts";
import { hiddenServices } from "./hidden_services.ts";
import { differInSettingsAlone, meshConfigOf, withDefaultExports } from "./mesh_defaults.ts";
import { PolicyCatalogue } from "./policies.ts";
import { ServiceCatalogue } from "./service_catalogue.ts";
import { type MeshService, type ServicePort, servicesOf } from "./services.ts";
import { SidecarScopes } from "./sidecar_scopes.ts";
import { SidecarViews } from "./sidecar_views.ts";
import { effectivePolicy } from "./traffic_policies.ts";
import { unboundRules } from "./unbound_rules.ts";
import { VirtualServices } from "./virtual_services.ts";

/** The generation before, for views that are made from those that it had. */
interface Before {
  readonly config: CompiledConfig;
  readonly changes: GenerationChanges;
}

export class CompiledConfig {
  readonly #written: ResourceSet;
  readonly mesh: MeshConfigSpec;
  readonly services: ServiceCatalogue;
  readonly policies: PolicyCatalogue;
  /** Keys of labels that some cluster compares with the proxy's own. */
  readonly comparedLabels: readonly string[];
  readonly virtualServices: VirtualServices;
  readonly destinationRules: DestinationRules;
  readonly #gatewayRules: GatewayRules;
  readonly #sidecars: SidecarScopes;
  readonly #sidecarViews: SidecarViews;
  readonly #gatewayViews: GatewayViews;
  readonly #views = new Map<string, ConfigView>();
  readonly #asked = new Set<ConfigView>();
  readonly #bodies: BodyCache;
  /** Which view of the generation before a view follows. */
  readonly #followed = new Map<ConfigView, ConfigView>();
  /** Null: there is none, or who saw the mesh alike does so now, and all views that are followed are here already. */
  #before: Before | null = null;

  /**
   * `tellsSkipped`: virtual hosts also have the rules that were left out, which proxies have no use for. `previous` is
   * the generation before, with the same answer to that; null: there is none. What it has and still holds is taken over.
   */
  constructor(written: ResourceSet, tellsSkipped: boolean, previous: CompiledConfig | null) {
    this.#written = written;
    this.mesh = meshConfigOf(written);
    // Null where nothing can be taken over: another MeshConfig may show in every body.
    const kept = previous !== null && differInSettingsAlone(this.mesh, previous.mesh) ? previous : null;
    /** What `kept` has, where none of the kinds that it is made of has changed; else a new one. */
    const keptOr = <Part>(
      kinds: readonly (keyof ResourceSet)[],
      partOf: (kept: CompiledConfig) => Part,
      make: () => Part,
    ): Part =>
      kept !== null && kinds.every((kind) => kept.#written[kind] === written[kind]) ? partOf(kept) : make();
    const resources = withDefaultExports(written);
    const { rootNamespace } = this.mesh;
    this.services = keptOr(
      ["services", "serviceEntries"],
      (kept) => kept.services,
      () => new ServiceCatalogue(servicesOf(resources), kept === null ? null : kept.services),
    );
    this.policies = keptOr(
      ["authorizationPolicies", "peerAuthentications", "requestAuthentications"],
      (kept) => kept.policies,
      () => new PolicyCatalogue(written, rootNamespace),
    );
    this.virtualServices = keptOr(
      ["virtualServices"],
      (kept) => kept.virtualServices,
      () => new VirtualServices(resources.virtualServices, kept === null ? null : kept.virtualServices),
    );
    this.destinationRules = keptOr(
      ["destinationRules"],
      (kept) => kept.destinationRules,
      () => new DestinationRules(resources.destinationRules, rootNamespace),
    );
    this.comparedLabels = keptOr(
      ["destinationRules"],
      (kept) => kept.comparedLabels,
      () => comparedByAny(resources, this.mesh),
    );
    this.#gatewayRules = keptOr(
      ["gateways", "virtualServices"],
      (kept) => kept.#gatewayRules,
      () => new GatewayRules(resources),
    );
    this.#sidecars = keptOr(
      ["sidecars"],
      (kept) => kept.#sidecars,
      () => new SidecarScopes(resources.sidecars, rootNamespace, kept === null ? null : kept.#sidecars),
    );
    this.#bodies = kept === null ? new BodyCache() : kept.#bodies;
    this.#bodies.beginGeneration();
    const parts = new HostParts({
      mesh: this.mesh,
      services: this.services,
      virtualServices: this.virtualServices,
      destinationRules: this.destinationRules,
      tellsSkipped,
      bodies: this.#bodies,
    });
    const { mesh, services, virtualServices } = this;
    this.#sidecarViews = new SidecarViews({
      mesh,
      services,
      virtualServices,
      sidecars: this.#sidecars,
      parts,
    });
    this.#gatewayViews = new GatewayViews({
      ...{ mesh, services, tellsSkipped, parts },
      gatewayRules: this.#gatewayRules,
    });
    if (kept !== null) this.#takeViews(kept);
  }

  viewFor(viewer: Viewer): ConfigView {
    const key = this.#viewKey(viewer);
    let view = this.#views.get(key);
    if (view === undefined) {
      view = this.#following(viewer) ?? this.#make(viewer);
      this.#views.set(key, view);
    }
    this.#asked.add(view);
    return view;
  }

  /** What a view of the generation before has become; undefined: nobody who had it has asked since. */
  successorOf(view: ConfigView): ConfigView | undefined {
    const successor = this.#views.get(this.#viewKey(view.viewer));
    if (successor === undefined || successor === view) return successor;
    return this.#followed.get(successor) === view ? successor : undefined;
  }

  /** The view of the generation before that a view follows; undefined: it is the same one, or new. */
  followedBy(view: ConfigView): ConfigView | undefined {
    return this.#followed.get(view);
  }

  /** Views may still follow those of the generation before that others follow already. */
  get divides(): boolean {
    return this.#before !== null;
  }

  /** The Sidecar of a workload; null: there is none. */
  sidecarOf(viewer: Viewer): SidecarSpec | null {
    return viewer.role === "gateway" ? null : this.#sidecars.scopeFor(viewer)?.resource.spec ?? null;
  }

  /** The services that a workload does not see; a gateway has no Sidecar. */
  hiddenFrom(viewer: Viewer): readonly HiddenService[] {
    const scope = viewer.role === "gateway" ? null : this.#sidecars.scopeFor(viewer);
    const { namespace } = viewer;
    return hiddenServices(this.services.all, namespace, this.services.visibleFrom(namespace, scope), scope);
  }

  /** The VirtualServices that have no say at a gateway. */
  unboundAt(viewer: Viewer): readonly UnboundRules[] {
    return viewer.role === "gateway" ? unboundRules(withDefaultExports(this.#written), viewer) : [];
  }

  /** What DestinationRules say of the connections to a workload itself, at a port of a service that it stands behind. */
  inboundPool(workload: Viewer, { info }: MeshService, { number }: ServicePort): ConnectionPool | null {
    const { trafficPolicy } = this.destinationRules.policyFor(info.host, info.namespace, workload);
    return effectivePolicy(trafficPolicy, null, number).connectionPool;
  }

  /** Hosts and wildcards whose DestinationRules are others than in that generation. */
  hostsOfOtherPolicies(previous: CompiledConfig): ReadonlySet<string> {
    return this.destinationRules.changedHosts(previous.destinationRules);
  }

  /** Takes over the views that somebody has asked for. */
  #takeViews(previous: CompiledConfig): void {
    previous.#before = null;
    const before = { config: previous, changes: changesBetween(previous, this) };
    // By other labels or Sidecars those who saw the mesh alike may see it differently now: each gets its view when it asks.
    const isToldApart = this.#sidecars !== previous.#sidecars ||
      !sameElements(this.#labelKeys, previous.#labelKeys) ||
      !sameElements(this.#gatewayLabelKeys, previous.#gatewayLabelKeys);
    if (isToldApart) this.#before = before;
    for (const view of previous.#asked) {
      const key = this.#viewKey(view.viewer);
      if (!this.#views.has(key)) this.#views.set(key, this.#follow(view.viewer, view, before));
    }
  }

  /** From what the viewer saw in the generation before; undefined: nothing that is known. */
  #following(viewer: Viewer): ConfigView | undefined {
    if (this.#before === null) return undefined;
    const { config } = this.#before;
    const view = config.#views.get(config.#viewKey(viewer));
    return view && this.#follow(viewer, view, this.#before);
  }

  /** The view itself where nothing can have changed for the viewer. */
  #follow(viewer: Viewer, view: ConfigView, { config, changes }: Before): ConfigView {
    const isGateway = viewer.role === "gateway";
    const isSame = isNothing(changes) && viewer === view.viewer &&
      (isGateway
        ? this.#gatewayRules === config.#gatewayRules
        : this.#sidecars.scopeFor(viewer) === config.#sidecars.scopeFor(viewer));
    if (isSame) return view;
    const views = isGateway ? this.#gatewayViews : this.#sidecarViews;
    const { services } = config;
    const next = new ConfigView(viewer, () => views.follow(viewer, view.content, services, changes));
    this.#followed.set(next, view);
    return next;
  }

  #make(viewer: Viewer): ConfigView {
    const views = viewer.role === "gateway" ? this.#gatewayViews : this.#sidecarViews;
    return new ConfigView(viewer, () => views.make(viewer));
  }

  /** Callers with equal keys see the same. */
  #viewKey(viewer: Viewer): string {
    if (viewer.role === "gateway") {
      return keyOf("gateway", viewer.namespace, ...labelsOf(viewer, this.#gatewayLabelKeys));
    }
    const scope = this.#sidecars.scopeFor(viewer);
    return keyOf("sidecar", viewer.namespace, ...labelsOf(viewer, this.#labelKeys), scope?.key);
  }

  /** Keys of the labels by which rules tell callers apart. */
  get #labelKeys(): readonly string[] {
    return [...this.virtualServices.sourceLabelKeys, ...this.destinationRules.selectorLabelKeys];
  }

  get #gatewayLabelKeys(): readonly string[] {
    return [...this.#gatewayRules.labelKeys, ...this.destinationRules.selectorLabelKeys];
  }
}
