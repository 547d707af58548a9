/** Which VirtualService applies to a host, as one client's namespace sees it. */
import { Delegates, type PlacedRule } from "../config/delegation.ts";
import { hostMatches, resolveHost } from "../config/host.ts";
import type { ConfigResource } from "../config/resource.ts";
import { MESH_GATEWAY } from "../config/schema/gateway_name.ts";
import type { Destination } from "../config/schema/destination.ts";
import type { HttpRule } from "../config/schema/http_rule.ts";
import type { VirtualServiceSpec } from "../config/schema/virtual_service.ts";
import { isVisible } from "./visibility.ts";

/** A VirtualService that sidecars heed. */
export interface MeshRule {
  readonly resource: ConfigResource<VirtualServiceSpec>;
  /** `NAMESPACE/NAME`. */
  readonly key: string;
  /** Full names and wildcards, lower case. */
  readonly hosts: readonly string[];
  /** In order, those of delegates in the place of the rules that delegate. */
  readonly rules: readonly PlacedRule[];
  /** Some match asks for labels or the namespace of the caller. */
  readonly asksForSource: boolean;
  /** Full hosts of destinations that leave their port to be inferred. */
  readonly portlessHosts: readonly string[];
}

/** What one namespace sees. */
interface Visible {
  readonly rules: readonly MeshRule[];
  readonly exact: ReadonlyMap<string, readonly MeshRule[]>;
  /** Most specific first. */
  readonly wildcards: readonly (readonly [host: string, rules: readonly MeshRule[]])[];
}

export class VirtualServices {
  /** Those that sidecars heed; what is bound to gateways alone is none of their business. */
  readonly #rules: readonly MeshRule[];
  readonly #visible = new Map<string, Visible>();
  /** Keys of labels that some rule asks the caller for: proxies alike in these see the same routes. */
  readonly sourceLabelKeys: readonly string[];

  constructor(resources: readonly ConfigResource<VirtualServiceSpec>[]) {
    const delegates = new Delegates(resources);
    this.#rules = resources.filter(({ spec }) => spec.gateways.includes(MESH_GATEWAY))
      .map((resource) => meshRule(resource, delegates.rulesOf(resource).rules));
    const matches = this.#rules.flatMap(({ rules }) => rules.flatMap(({ http }) => http.match));
    const keys = new Set(matches.flatMap((match) => Object.keys(match.sourceLabels)));
    this.sourceLabelKeys = [...keys].sort();
  }

  visibleFrom(namespace: string): readonly MeshRule[] {
    return this.#view(namespace).rules;
  }

  /**
   * The one that routes a host: exact beats wildcard, the longest wildcard beats the others. Istio lets the oldest of
   * several for the same host win; files have no age, so the client's own namespace wins, then the service's, then the
   * first by namespace and name: nobody takes over a service of another namespace that has rules of its own.
   */
  select(host: string, serviceNamespace: string, clientNamespace: string): MeshRule | undefined {
    const view = this.#view(clientNamespace);
    const rules = view.exact.get(host) ??
      view.wildcards.find(([pattern]) => hostMatches(pattern, host))?.[1] ?? [];
    const ofNamespace = (namespace: string) => rules.find((rule) => rule.resource.namespace === namespace);
    return ofNamespace(clientNamespace) ?? ofNamespace(serviceNamespace) ?? rules[0];
  }

  #view(namespace: string): Visible {
    const known = this.#visible.get(namespace);
    if (known !== undefined) return known;
    const rules = this.#rules.filter(({ resource }) =>
      isVisible(resource.spec.exportTo, resource.namespace, namespace)
    );
    const byHost = new Map<string, MeshRule[]>();
    for (const rule of rules) {
      for (const host of rule.hosts) byHost.set(host, [...(byHost.get(host) ?? []), rule]);
    }
    const wildcards = [...byHost].filter(([host]) => host.startsWith("*"));
    const view = { rules, exact: byHost, wildcards: wildcards.sort(([a], [b]) => b.length - a.length) };
    this.#visible.set(namespace, view);
    return view;
  }
}

function meshRule(
  resource: ConfigResource<VirtualServiceSpec>,
  rules: readonly PlacedRule[],
): MeshRule {
  const { namespace, name, spec } = resource;
  const matches = rules.flatMap(({ http }) => http.match);
  const portless = rules.flatMap(({ http, resource }) =>
    destinationsOf(http).filter((to) => to.port === null)
      .map((to) => resolveHost(to.host, resource.namespace))
  );
  return {
    resource,
    key: `${namespace}/${name}`,
    hosts: [...new Set(spec.hosts.map((host) => resolveHost(host, namespace)))],
    rules,
    asksForSource: matches.some((match) =>
      match.sourceNamespace !== null || Object.keys(match.sourceLabels).length > 0
    ),
    portlessHosts: [...new Set(portless)].sort(),
  };
}

/** Where requests and their copies go. */
function destinationsOf({ route, mirror, mirrors }: HttpRule): readonly Destination[] {
  return [...route, ...mirror === null ? [] : [mirror], ...mirrors].map(({ destination }) => destination);
}
