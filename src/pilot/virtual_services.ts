/** Which VirtualService applies to a host, as one client's namespace sees it. */
import { appendTo } from "../lib/append_to.ts";
import { Delegates } from "../config/delegation.ts";
import { hostMatches, resolveHost } from "../config/host.ts";
import type { ConfigResource } from "../config/resource.ts";
import { MESH_GATEWAY } from "../config/schema/gateway_name.ts";
import type { VirtualServiceSpec } from "../config/schema/virtual_service.ts";
import { type MeshRule, meshRule } from "./mesh_rule.ts";
import { differing } from "./stable_resources.ts";
import { isVisible } from "../config/visibility.ts";

/** The VirtualServices that a Sidecar lets its workloads see. */
export interface RuleScope {
  seesRule(hosts: readonly string[], namespace: string): boolean;
}

/** A VirtualService that has no say for a caller. */
export interface PassedOver {
  readonly resource: ConfigResource<VirtualServiceSpec>;
  readonly why: string;
}

export class VirtualServices {
  readonly #resources: readonly ConfigResource<VirtualServiceSpec>[];
  readonly #delegates: Delegates;
  /** Of each resource; null where sidecars do not heed it: what is bound to gateways alone is none of their business. */
  readonly #ruleAt: readonly (MeshRule | null)[];
  readonly #rules: readonly MeshRule[];
  /** In order. */
  readonly #byHost: ReadonlyMap<string, readonly MeshRule[]>;
  /** Most specific first. */
  readonly #wildcards: readonly string[];
  /** Keys of labels that some rule asks the caller for: proxies alike in these see the same routes. */
  readonly sourceLabelKeys: readonly string[];

  /** By full host or wildcard, whoever heeds them; made when it is asked, which proxies' snapshots never do. */
  #byName: ReadonlyMap<string, readonly ConfigResource<VirtualServiceSpec>[]> | null = null;

  /** `previous` are those of the generation before: only what was replaced since is looked at. */
  constructor(resources: readonly ConfigResource<VirtualServiceSpec>[], previous: VirtualServices | null) {
    this.#resources = resources;
    const kept = previous !== null && previous.#resources.length === resources.length &&
        differing(resources, previous.#resources).every(({ spec }) => spec.hosts.length > 0)
      ? previous
      : null;
    this.#delegates = kept === null ? new Delegates(resources) : kept.#delegates;
    this.#ruleAt = resources.map((resource, index) =>
      kept !== null && kept.#resources[index] === resource
        ? kept.#ruleAt[index] as MeshRule | null
        : resource.spec.gateways.includes(MESH_GATEWAY)
        ? meshRule(resource, this.#delegates)
        : null
    );
    this.#rules = this.#ruleAt.filter((rule) => rule !== null);
    const replaced = differing(this.#rules, kept === null ? [] : kept.#rules);
    this.#byHost = kept === null ? byHost(this.#rules) : this.#followHosts(kept.#byHost, replaced);
    const hasNew = replaced.some(({ hosts, sourceLabelKeys }) =>
      hosts.some(isWildcard) || sourceLabelKeys.length > 0
    );
    if (kept !== null && !hasNew) {
      this.#wildcards = kept.#wildcards;
      this.sourceLabelKeys = kept.sourceLabelKeys;
      return;
    }
    this.#wildcards = [...this.#byHost.keys()].filter(isWildcard).sort((a, b) => b.length - a.length);
    this.sourceLabelKeys = [...new Set(this.#rules.flatMap((rule) => rule.sourceLabelKeys))].sort();
  }

  /** `replaced` are rules that came or went. */
  #followHosts(
    before: ReadonlyMap<string, readonly MeshRule[]>,
    replaced: readonly MeshRule[],
  ): ReadonlyMap<string, readonly MeshRule[]> {
    const hosts = new Map(before);
    const places = new Map<MeshRule, number>();
    const place = (rule: MeshRule) => {
      const known = places.get(rule) ?? this.#rules.indexOf(rule);
      places.set(rule, known);
      return known;
    };
    for (const host of new Set(replaced.flatMap((rule) => rule.hosts))) {
      const candidates = [...before.get(host) ?? [], ...replaced.filter((rule) => rule.hosts.includes(host))];
      const alive = [...new Set(candidates)].filter((rule) => place(rule) >= 0);
      if (alive.length === 0) hosts.delete(host);
      else hosts.set(host, alive.sort((a, b) => place(a) - place(b)));
    }
    return hosts;
  }

  visibleFrom(namespace: string, scope: RuleScope | null = null): readonly MeshRule[] {
    return visibleOf(this.#rules, namespace, scope);
  }

  /**
   * The one that routes a host: exact beats wildcard, the longest wildcard beats the others. Istio lets the oldest of
   * several for the same host win; files have no age, so the client's own namespace wins, then the service's, then the
   * first by namespace and name: nobody takes over a service of another namespace that has rules of its own.
   */
  select(
    host: string,
    serviceNamespace: string,
    clientNamespace: string,
    scope: RuleScope | null = null,
  ): MeshRule | undefined {
    const rules = this.#candidates(host, clientNamespace, scope);
    const ofNamespace = (namespace: string) => rules.find((rule) => rule.resource.namespace === namespace);
    return ofNamespace(clientNamespace) ?? ofNamespace(serviceNamespace) ?? rules[0];
  }

  /** The VirtualServices that name a host and are not the one that routes it for a caller; `why` is a clause. */
  passedOver(
    host: string,
    selected: MeshRule | undefined,
    clientNamespace: string,
    scope: RuleScope | null,
  ): readonly PassedOver[] {
    this.#byName ??= byName(this.#resources);
    const wildcards = [...this.#byName.keys()].filter((name) => isWildcard(name) && hostMatches(name, host));
    const naming = new Set([host, ...wildcards].flatMap((name) => this.#byName?.get(name) ?? []));
    naming.delete(selected?.resource as ConfigResource<VirtualServiceSpec>);
    return Array.from(naming, (resource) => {
      const { namespace, spec } = resource;
      const rule = this.#ruleAt[this.#resources.indexOf(resource)] ?? null;
      const why = rule === null
        ? `its gateways leave out ${JSON.stringify(MESH_GATEWAY)}, so sidecars do not heed it`
        : !isVisible(spec.exportTo, namespace, clientNamespace)
        ? `it is not exported to the namespace ${clientNamespace}`
        : !isSeen(rule, clientNamespace, scope)
        ? "the caller's Sidecar leaves it out"
        : `the host has one VirtualService for a caller, which is ${selected?.key}`;
      return { resource, why };
    });
  }

  /** The rules that are here and were not there, and the other way round. */
  changesSince(
    before: VirtualServices,
  ): { readonly come: readonly MeshRule[]; readonly gone: readonly MeshRule[] } {
    if (before === this) return { come: [], gone: [] };
    const changed = differing(this.#rules, before.#rules);
    const here = new Set(this.#rules);
    return {
      come: changed.filter((rule) => here.has(rule)),
      gone: changed.filter((rule) => !here.has(rule)),
    };
  }

  /** Hosts and wildcards of the rules that leave the port of one of these destinations to be inferred. */
  hostsLedTo(destinations: ReadonlySet<string>): ReadonlySet<string> {
    if (destinations.size === 0) return new Set();
    const leading = this.#rules.filter((rule) => rule.portlessHosts.some((host) => destinations.has(host)));
    return new Set(leading.flatMap((rule) => rule.hosts));
  }

  #candidates(host: string, clientNamespace: string, scope: RuleScope | null): readonly MeshRule[] {
    const exact = visibleOf(this.#byHost.get(host) ?? [], clientNamespace, scope);
    if (exact.length > 0) return exact;
    for (const pattern of this.#wildcards) {
      if (!hostMatches(pattern, host)) continue;
      const visible = visibleOf(this.#byHost.get(pattern) ?? [], clientNamespace, scope);
      if (visible.length > 0) return visible;
    }
    return [];
  }
}

function visibleOf(
  rules: readonly MeshRule[],
  namespace: string,
  scope: RuleScope | null,
): readonly MeshRule[] {
  return rules.filter((rule) => isSeen(rule, namespace, scope));
}

/** Whether callers of a namespace have a rule. */
export function isSeen({ resource, hosts }: MeshRule, namespace: string, scope: RuleScope | null): boolean {
  return isVisible(resource.spec.exportTo, resource.namespace, namespace) &&
    (scope === null || scope.seesRule(hosts, resource.namespace));
}

function byHost(rules: readonly MeshRule[]): Map<string, readonly MeshRule[]> {
  return grouped(rules, ({ hosts }) => hosts);
}

function byName(
  resources: readonly ConfigResource<VirtualServiceSpec>[],
): Map<string, readonly ConfigResource<VirtualServiceSpec>[]> {
  return grouped(resources, ({ namespace, spec }) => spec.hosts.map((host) => resolveHost(host, namespace)));
}

function grouped<Item>(
  items: readonly Item[],
  hostsOf: (item: Item) => readonly string[],
): Map<string, readonly Item[]> {
  const found = new Map<string, Item[]>();
  for (const item of items) {
    for (const host of hostsOf(item)) {
      appendTo(found, host, item);
    }
  }
  return found;
}

function isWildcard(host: string): boolean {
  return host.startsWith("*");
}
