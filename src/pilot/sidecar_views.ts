/**
 * What sidecars see of a generation of the configuration: made anew, or from what they saw before and what has changed
 * since.
 */
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import { type ConfigPart, NO_SERVICE, type ViewContent, type Viewer } from "./config_view.ts";
import { extAuthzHosts } from "./ext_authz.ts";
import type { GenerationChanges } from "./generation_changes.ts";
import type { HostParts } from "./host_parts.ts";
import type { ServiceCatalogue, VisibleHosts } from "./service_catalogue.ts";
import type { SidecarScope, SidecarScopes } from "./sidecar_scopes.ts";
import { ViewScope } from "./view_scope.ts";
import { DomainClaims, matching, movedHosts } from "./virtual_hosts.ts";
import type { MeshRule } from "./mesh_rule.ts";
import { isSeen, type VirtualServices } from "./virtual_services.ts";

/** What they are made of, of one generation. */
export interface SidecarSources {
  readonly mesh: MeshConfigSpec;
  readonly services: ServiceCatalogue;
  readonly virtualServices: VirtualServices;
  readonly sidecars: SidecarScopes;
  readonly parts: HostParts;
}

export class SidecarViews {
  readonly #of: SidecarSources;

  constructor(sources: SidecarSources) {
    this.#of = sources;
  }

  make(viewer: Viewer): ViewContent {
    const sidecar = this.#of.sidecars.scopeFor(viewer);
    const scope = sidecar === null ? null : this.#scopeOf(sidecar, viewer);
    const scoped = { ...viewer, scope };
    const parts = new Map<string, ConfigPart>();
    for (const host of this.#of.services.visibleFrom(viewer.namespace, scope).values()) {
      parts.set(host.host, this.#of.parts.partOf(host, scoped));
    }
    parts.set(NO_SERVICE, this.#of.parts.withoutService(scoped));
    return { parts, changed: null, scope };
  }

  /**
   * What `viewer` sees, who saw `before` in the generation before that had `services`. Costs what differs, and where the
   * viewer has another Sidecar now one look at each host.
   */
  follow(
    viewer: Viewer,
    before: ViewContent,
    services: ServiceCatalogue,
    changes: GenerationChanges,
  ): ViewContent {
    const { namespace } = viewer;
    const sidecar = this.#of.sidecars.scopeFor(viewer);
    const scope = this.#scopeAfter(before.scope, sidecar, viewer, changes);
    const hasOther = !(before.scope === null ? sidecar === null : before.scope.isOf(sidecar));
    const saw = services.visibleFrom(namespace, before.scope);
    const [visible, mayDiffer] = this.#visibleAfter(saw, before.scope, scope, hasOther, viewer, changes);
    const claims = new DomainClaims(this.#of.services, namespace, scope);
    const moved = movedHosts(claims, new DomainClaims(services, namespace, before.scope), mayDiffer);
    const rules = [...changes.come, ...changes.gone]
      .filter((rule) => isSeen(rule, namespace, scope) || isSeen(rule, namespace, before.scope));
    if (hasOther) rules.push(...this.#seenByOne(before.scope, scope, namespace));
    const rerouted = new Set(rules.flatMap(({ hosts }) => hosts));
    const changed = new Set([...moved, ...matching(changes.hosts.union(rerouted), visible)]);
    // Rules for services alone leave the rest as it is: for a host of a rule that is none, no wildcard counts.
    const isElsewhere = moved.size > 0 || this.#of.services.seesOthers(services, namespace) ||
      [...rerouted].some((host) => !claims.has(host));
    if (isElsewhere) changed.add(NO_SERVICE);
    if (changed.size === 0) return { parts: before.parts, changed, scope };
    const parts = new Map(before.parts);
    const scoped = { ...viewer, scope };
    for (const name of changed) {
      const host = visible.get(name);
      if (host !== undefined) parts.set(name, this.#of.parts.partOf(host, scoped));
      else parts.delete(name);
    }
    if (isElsewhere) parts.set(NO_SERVICE, this.#of.parts.withoutService(scoped));
    return { parts, changed, scope };
  }

  #scopeOf(sidecar: SidecarScope, { namespace }: Viewer): ViewScope {
    const rules = this.#of.virtualServices.visibleFrom(namespace);
    return ViewScope.of(sidecar, namespace, rules, extAuthzHosts(this.#of.mesh));
  }

  #scopeAfter(
    before: ViewScope | null,
    sidecar: SidecarScope | null,
    viewer: Viewer,
    { come, gone }: GenerationChanges,
  ): ViewScope | null {
    if (sidecar === null) return null;
    return before?.isOf(sidecar) === true ? before.after(come, gone) : this.#scopeOf(sidecar, viewer);
  }

  /** What is visible now, and the hosts in which it may differ from what was. */
  #visibleAfter(
    saw: VisibleHosts,
    before: ViewScope | null,
    scope: ViewScope | null,
    hasOther: boolean,
    { namespace }: Viewer,
    changes: GenerationChanges,
  ): [VisibleHosts, ReadonlySet<string>] {
    if (hasOther || scope === null || before === null) {
      const visible = this.#of.services.visibleFrom(namespace, scope);
      return [visible, hasOther ? new Set([...saw.keys(), ...visible.keys()]) : changes.services];
    }
    const mayDiffer = changes.services.union(scope.otherHosts(before));
    return [this.#of.services.visibleAfter(saw, mayDiffer, namespace, scope), mayDiffer];
  }

  /** Rules that are seen in one of two scopes alone. */
  #seenByOne(before: ViewScope | null, scope: ViewScope | null, namespace: string): readonly MeshRule[] {
    return this.#of.virtualServices.visibleFrom(namespace)
      .filter((rule) => isSeen(rule, namespace, before) !== isSeen(rule, namespace, scope));
  }
}
