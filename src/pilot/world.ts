/**
 * What is true at one moment: a generation of the configuration and the workloads that there are. Immutable to its
 * users; what a proxy should have is worked out when it is asked for, and shared with whoever sees the same.
 */
import { hostMatches } from "../config/host.ts";
import type { ResourceSet } from "../config/resource.ts";
import { contentHash } from "../lib/hash.ts";
import { resourceKey, type VersionedResource } from "../model/snapshot.ts";
import { sameElements } from "../lib/same_elements.ts";
import { CompiledConfig } from "./compiled_config.ts";
import type { ConfigPart, ConfigView } from "./config_view.ts";
import { labelsOf } from "./endpoint_of.ts";
import { EndpointIndex, type Membership } from "./endpoints.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { modeAt, type PolicyCatalogue } from "./policies.ts";
import { proxySettings, type SettingsInput } from "./proxy_settings.ts";
import { changedSnapshot, type ProxyView } from "./proxy_view.ts";
import { SharedSnapshot, type SnapshotEntry, type SnapshotPart } from "./shared_snapshot.ts";
import { stableResources } from "./stable_resources.ts";

export interface WorldInput extends SettingsInput {
  readonly resources: ResourceSet;
  /** Distinct in their keys. */
  readonly workloads: readonly MeshWorkload[];
}

/** Settings of workloads that are gone are thrown away when there are so many for each workload. */
const SETTINGS_KEPT_FACTOR = 2;

/** What was last made of each part of a view. */
const partsWithEndpoints = new WeakMap<ConfigPart, SnapshotPart>();

interface Before {
  readonly view: ConfigView;
  readonly snapshot: SharedSnapshot;
}

export class World {
  readonly #input: WorldInput;
  /** Of the input, with the objects of the world before wherever they mean the same. */
  readonly #resources: ResourceSet;
  readonly #config: CompiledConfig;
  readonly #endpoints: EndpointIndex;
  readonly #shared = new Map<ConfigView, SharedSnapshot>();
  /** What the views of this world were in the world before, until they are asked for. */
  readonly #before = new Map<ConfigView, Before>();
  /** What the views of the world before came to, as long as views that are yet to be made may follow them. */
  #earlier: ReadonlyMap<ConfigView, SharedSnapshot> = new Map();
  /** The very map of the world before, where nothing can differ for workloads that are still there. */
  #settings = new Map<MeshWorkload, VersionedResource>();

  /** What `previous` had and is still true is taken over, so that the cost is that of the change. */
  constructor(input: WorldInput, previous: World | null) {
    const { resources, workloads, trustDomain } = input;
    this.#input = input;
    // Snapshots are made when they are asked for: those that nobody asked for, before what they are made of is lost.
    if (previous !== null) {
      for (const view of [...previous.#before.keys()]) previous.#sharedBy(view);
      previous.#earlier = new Map();
    }
    this.#resources = previous === null ? resources : stableResources(resources, previous.#resources);
    this.#config = previous !== null && this.#resources === previous.#resources
      ? previous.#config
      : new CompiledConfig(
        this.#resources,
        input.tellsSkipped ?? false,
        previous === null ? null : previous.#config,
      );
    const { policies } = this.#config;
    this.#endpoints = new EndpointIndex(
      workloads,
      { trustDomain, isPlain: policies.disablesAny ? (one, port) => isDisabled(policies, one, port) : null },
      previous === null ? null : previous.#endpoints,
      previous === null ? null : policies.plainTextSince(previous.#config.policies),
    );
    if (previous === null) return;
    for (const [view, snapshot] of previous.#shared) {
      const successor = this.#config.successorOf(view);
      if (successor !== undefined) this.#before.set(successor, { view, snapshot });
    }
    if (this.#config.divides) this.#earlier = previous.#shared;
    if (this.#endpoints.hasGrown) this.#endpoints.keepOnly(this.#memberships());
    this.#takeSettings(previous);
  }

  /** What the proxy of a workload should have. */
  view(workload: MeshWorkload): ProxyView {
    return { shared: this.#sharedBy(this.#config.viewFor(workload)), self: this.#settingsOf(workload) };
  }

  #sharedBy(view: ConfigView): SharedSnapshot {
    let snapshot = this.#shared.get(view);
    if (snapshot === undefined) {
      const before = this.#before.get(view) ?? this.#earlierOf(view);
      snapshot = before === undefined ? this.#newSnapshot(view) : this.#nextSnapshot(view, before);
      this.#before.delete(view);
      this.#shared.set(view, snapshot);
    }
    return snapshot;
  }

  #earlierOf(view: ConfigView): Before | undefined {
    const followed = this.#config.followedBy(view);
    const snapshot = followed && this.#earlier.get(followed);
    return snapshot && { view: followed, snapshot };
  }

  #newSnapshot(view: ConfigView): SharedSnapshot {
    const parts = new Map<string, SnapshotPart>();
    for (const [host, part] of view.parts) parts.set(host, this.#withEndpoints(part));
    return new SharedSnapshot(parts);
  }

  /** The same object as before if nothing in it changed. */
  #nextSnapshot(view: ConfigView, before: Before): SharedSnapshot {
    const changed = new Map<string, SnapshotPart | undefined>();
    for (const host of this.#changedParts(view, before.view)) {
      const part = view.parts.get(host);
      changed.set(host, part && this.#withEndpoints(part));
    }
    return changedSnapshot(before.snapshot, changed);
  }

  /** The same object for all views that have the part, and as long as its endpoints are the same. */
  #withEndpoints(part: ConfigPart): SnapshotPart {
    const { resources, memberships } = part;
    if (memberships.length === 0) return resources;
    const endpoints = memberships.map((membership) => this.#endpoints.endpointSet(membership));
    const known = partsWithEndpoints.get(part);
    const isSame = (set: VersionedResource, index: number) => set === known?.[resources.length + index]?.[1];
    if (known !== undefined && endpoints.every(isSame)) return known;
    const entries = endpoints.map((resource): SnapshotEntry => [resourceKey(resource.body), resource]);
    const all = [...resources, ...entries];
    partsWithEndpoints.set(part, all);
    return all;
  }

  #changedParts(view: ConfigView, before: ConfigView): ReadonlySet<string> {
    const moved = new Set([...this.#endpoints.touched].map(({ info }) => info.host));
    if (view === before) return moved;
    return moved.union(view.changed ?? new Set([...before.parts.keys(), ...view.parts.keys()]));
  }

  #memberships(): ReadonlySet<Membership> {
    const alive = new Set<Membership>();
    for (const view of this.#before.keys()) {
      for (const { memberships } of view.parts.values()) for (const one of memberships) alive.add(one);
    }
    return alive;
  }

  /**
   * A workload's settings depend on itself, on the services, policies and Sidecar of its namespace, and on the DestinationRules
   * of services that it stands behind.
   */
  #takeSettings(previous: World): void {
    const [config, before] = [this.#config, previous.#config];
    if (config.mesh !== before.mesh) return;
    if (!sameElements(this.#input.revoked ?? [], previous.#input.revoked ?? [])) return;
    if (!sameElements(this.#input.revokedIds ?? [], previous.#input.revokedIds ?? [])) return;
    if (this.#input.trust !== previous.#input.trust) return;
    const otherPolicies = [...config.hostsOfOtherPolicies(before)];
    const sameWorkloads = this.#input.workloads === previous.#input.workloads;
    const sameLabels = sameElements(config.comparedLabels, before.comparedLabels);
    const sameSidecars = this.#resources.sidecars === previous.#resources.sidecars;
    const sameRules = config.policies === before.policies && otherPolicies.length === 0;
    const sameCauses = config.services === before.services && sameRules && sameLabels && sameSidecars;
    // What is left of workloads that are gone is asked for by nobody.
    const isTidy = sameWorkloads ||
      previous.#settings.size <= SETTINGS_KEPT_FACTOR * this.#input.workloads.length;
    if (sameCauses && isTidy) {
      this.#settings = previous.#settings;
      return;
    }
    const alive = sameWorkloads ? previous.#settings : new Set(this.#input.workloads);
    const same = new Map<string, boolean>();
    for (const [workload, resource] of previous.#settings) {
      if (!alive.has(workload)) continue;
      if (!sameSidecars && config.sidecarOf(workload) !== before.sidecarOf(workload)) continue;
      if (!sameLabels && !comparesAlike(workload, config, before)) continue;
      const { namespace } = workload;
      const isSame = same.get(namespace) ??
        (sameElements(config.services.ofNamespace(namespace), before.services.ofNamespace(namespace)) &&
          sameElements(config.policies.ofNamespace(namespace), before.policies.ofNamespace(namespace)));
      same.set(namespace, isSame);
      const isBehind = otherPolicies.length > 0 && isBehindAny(resource.body, otherPolicies);
      if (isSame && !isBehind) this.#settings.set(workload, resource);
    }
  }

  /** The proxy's own part of that. */
  #settingsOf(workload: MeshWorkload): VersionedResource {
    let resource = this.#settings.get(workload);
    if (resource === undefined) {
      const body = proxySettings(workload, this.#config, this.#input);
      resource = { version: contentHash(body), body };
      this.#settings.set(workload, resource);
    }
    return resource;
  }
}

/** Whether a workload has the same labels that somebody compares in both generations. */
function comparesAlike(workload: MeshWorkload, config: CompiledConfig, before: CompiledConfig): boolean {
  const [labels, others] = [config, before].map(({ comparedLabels }) => labelsOf(workload, comparedLabels));
  return contentHash(labels) === contentHash(others);
}

/** Whether a workload stands behind a service that one of the hosts and wildcards means. */
function isBehindAny(settings: VersionedResource["body"], hosts: readonly string[]): boolean {
  return settings.kind === "proxy" &&
    settings.inbound.some(({ service }) => hosts.some((host) => hostMatches(host, service.host)));
}

function isDisabled(policies: PolicyCatalogue, workload: MeshWorkload, port: number): boolean {
  return modeAt(policies.peerMode(workload), port) === "DISABLE";
}
