/**
 * What is true at one moment: a generation of the configuration and the workloads that there are. Immutable to its
 * users; what a proxy should have is worked out when it is asked for, and shared with whoever sees the same.
 */
import { hostMatches } from "../config/host.ts";
import type { ResourceSet } from "../config/resource.ts";
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import { contentHash } from "../lib/hash.ts";
import { NO_PROXIES_BEFORE } from "../model/gateway_topology.ts";
import {
  type ProxySettings,
  resourceKey,
  type RevokedIdentity,
  type Trust,
  type VersionedResource,
} from "../model/snapshot.ts";
import { sameElements } from "../lib/same_elements.ts";
import { CompiledConfig } from "./compiled_config.ts";
import type { ConfigPart, ConfigView } from "./config_view.ts";
import { labelsOf, workloadInfo } from "./endpoint_of.ts";
import { EndpointIndex, type Membership } from "./endpoints.ts";
import type { MeshWorkload } from "./file_workloads.ts";
import { extAuthzOf } from "./ext_authz.ts";
import { inboundPorts, type PoolOf } from "./inbound_ports.ts";
import { doorsOf } from "./sidecar_doors.ts";
import { modeAt, type PeerMode, type PolicyCatalogue } from "./policies.ts";
import { changedSnapshot, type ProxyView } from "./proxy_view.ts";
import { SharedSnapshot, type SnapshotEntry, type SnapshotPart } from "./shared_snapshot.ts";
import { stableResources } from "./stable_resources.ts";

export interface WorldInput {
  readonly resources: ResourceSet;
  /** Distinct in their keys. */
  readonly workloads: readonly MeshWorkload[];
  readonly trustDomain: string;
  /** As in ProxySettings. @default none */
  readonly revoked?: readonly string[];
  readonly revokedIds?: readonly RevokedIdentity[];
  /** As in ProxySettings. @default none is said */
  readonly trust?: Trust | undefined;
  /** For `explain`: snapshots also have the rules that were left out of them. @default false */
  readonly tellsSkipped?: boolean;
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
    return { shared: this.#sharedBy(this.#config.viewFor(workload)), self: this.settings(workload) };
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
  settings(workload: MeshWorkload): VersionedResource {
    let resource = this.#settings.get(workload);
    if (resource === undefined) {
      const labels = labelsOf(workload, this.#config.comparedLabels);
      const sidecar = this.#config.sidecarOf(workload);
      const services = this.#config.services.ofNamespace(workload.namespace);
      const poolOf: PoolOf = (service, port) => this.#config.inboundPool(workload, service, port);
      const { trustDomain } = this.#input;
      const provider = this.#config.policies.providerFor(workload);
      const extAuthz = provider === null ? null : extAuthzOf(this.#config.mesh, provider);
      const { trustDomainAliases: aliases } = this.#config.mesh;
      const trustDomains = [trustDomain, ...aliases];
      const policies = this.#config.policies.policiesFor(workload, trustDomains, extAuthz?.provider ?? null);
      const jwtRules = this.#config.policies.jwtRulesFor(workload);
      const peers = this.#config.policies.peerMode(workload);
      const mtls = plainTextRule(peers);
      const doors = doorsOf(workload, sidecar);
      const { protocolDetectionTimeout: detectionTimeoutMs } = this.#config.mesh;
      const isAsked = this.#input.tellsSkipped === true;
      const hidden = isAsked ? this.#config.hiddenFrom(workload) : [];
      const unbound = isAsked ? this.#config.unboundAt(workload) : [];
      const body: ProxySettings = {
        kind: "proxy",
        name: "self",
        trustDomain,
        ...(aliases.length === 0 ? {} : { trustDomainAliases: aliases }),
        // Whoever asks has a sidecar, whatever the files let others believe.
        workload: workloadInfo({ ...workload, hasSidecar: true }, trustDomain),
        address: workload.address,
        outboundPolicy: (sidecar?.outboundTrafficPolicy ?? this.#config.mesh.outboundTrafficPolicy).mode,
        inbound: workload.role === "gateway"
          ? []
          : inboundPorts({ workload, services, sidecar, poolOf, peers }),
        ...(detectionTimeoutMs === null ? {} : { detectionTimeoutMs }),
        ...(policies.length === 0 ? {} : { policies }),
        ...(jwtRules.length === 0 ? {} : { jwtRules }),
        ...pathForm(this.#config.mesh),
        ...topology(this.#config.mesh),
        ...(extAuthz === null ? {} : { extAuthz }),
        ...(mtls === null ? {} : { mtls }),
        ...(workload.probe === undefined ? {} : { probe: workload.probe }),
        ...(this.#input.revoked?.length ? { revoked: this.#input.revoked } : {}),
        ...(this.#input.revokedIds?.length ? { revokedIds: this.#input.revokedIds } : {}),
        ...(this.#input.trust === undefined ? {} : { trust: this.#input.trust }),
        ...(workload.locality === undefined ? {} : { locality: workload.locality }),
        ...(Object.keys(labels).length === 0 ? {} : { labels }),
        ...(doors.length === 0 ? {} : { doors }),
        ...(hidden.length === 0 ? {} : { hidden }),
        ...(unbound.length === 0 ? {} : { unbound }),
      };
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

/** Istio's default is BASE; ours is the one with which nobody gets past a policy by a second slash. */
function pathForm({ pathNormalization }: MeshConfigSpec): Pick<ProxySettings, "pathNormalization"> {
  const { normalization } = pathNormalization;
  return normalization === "DEFAULT" || normalization === "MERGE_SLASHES"
    ? {}
    : { pathNormalization: normalization };
}

/** Workloads hear of it, too: what gateways bring them has the same entries. */
function topology({ defaultConfig }: MeshConfigSpec): Pick<ProxySettings, "gatewayTopology"> {
  const { numTrustedProxies: trustedProxies, forwardClientCertDetails: said } = defaultConfig.gatewayTopology;
  const clientCert = said === "UNDEFINED" ? NO_PROXIES_BEFORE.clientCert : said;
  if (trustedProxies === 0 && clientCert === NO_PROXIES_BEFORE.clientCert) return {};
  return { gatewayTopology: { trustedProxies, clientCert } };
}

/** Whether a workload stands behind a service that one of the hosts and wildcards means. */
function isBehindAny(settings: VersionedResource["body"], hosts: readonly string[]): boolean {
  return settings.kind === "proxy" &&
    settings.inbound.some(({ service }) => hosts.some((host) => hostMatches(host, service.host)));
}

/** What is said of ports that no service declares; null: nothing is refused. */
function plainTextRule({ mode, ports }: PeerMode): ProxySettings["mtls"] | null {
  const strict = mode === "STRICT";
  const others = [...ports].filter(([, own]) => (own === "STRICT") !== strict).map(([port]) => port);
  if (!strict && others.length === 0) return null;
  return { mode: strict ? "strict" : "permissive", exceptPorts: others };
}

function isDisabled(policies: PolicyCatalogue, workload: MeshWorkload, port: number): boolean {
  return modeAt(policies.peerMode(workload), port) === "DISABLE";
}
