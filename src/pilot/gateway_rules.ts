/** Which VirtualServices apply to the hosts of a gateway's server. */
import { appendTo } from "../lib/append_to.ts";
import { hasLabels, type Labels } from "../model/labels.ts";
import type { ConfigResource, ResourceSet } from "../config/resource.ts";
import { MESH_GATEWAY, resolveGateway } from "../config/schema/gateway_name.ts";
import type { GatewayServer, GatewaySpec } from "../config/schema/gateway.ts";
import { type MeshRule, routingRules } from "./mesh_rule.ts";
import { sharedHosts } from "../config/shared_hosts.ts";
import { isVisible } from "../config/visibility.ts";

/** A host at a server, and the VirtualServices that route it, in order. */
export interface BoundHost {
  readonly host: string;
  readonly rules: readonly MeshRule[];
}

export class GatewayRules {
  readonly #gateways: readonly ConfigResource<GatewaySpec>[];
  /** By the gateway's `NAMESPACE/NAME`. */
  readonly #bound = new Map<string, MeshRule[]>();
  /** Keys of labels by which gateways are selected, or that a rule for one of them asks for. */
  readonly labelKeys: readonly string[];

  constructor({ gateways, virtualServices }: ResourceSet) {
    this.#gateways = gateways;
    const keys = new Set(gateways.flatMap(({ spec }) => Object.keys(spec.selector)));
    // Without gateways nobody asks for what is bound to them.
    const rules = gateways.length === 0
      ? []
      : routingRules(virtualServices, ({ spec }) => spec.gateways.some((name) => name !== MESH_GATEWAY));
    for (const bound of rules) {
      const { namespace, spec } = bound.resource;
      for (const label of bound.sourceLabelKeys) keys.add(label);
      const named = spec.gateways.filter((name) => name !== MESH_GATEWAY);
      for (const key of new Set(named.map((name) => resolveGateway(name, namespace)))) {
        appendTo(this.#bound, key, bound);
      }
    }
    this.labelKeys = [...keys].sort();
  }

  /** The Gateways that select a workload with these labels; without a selector they select all gateways. */
  selecting(labels: Labels): readonly ConfigResource<GatewaySpec>[] {
    return this.#gateways.filter(({ spec }) => hasLabels(labels, spec.selector));
  }

  /** Every VirtualService that names the Gateway and that the gateway's namespace sees, by namespace and name. */
  boundTo(gateway: ConfigResource<GatewaySpec>, namespace: string): readonly MeshRule[] {
    const bound = this.#bound.get(`${gateway.namespace}/${gateway.name}`) ?? [];
    return bound.filter(({ resource }) => isVisible(resource.spec.exportTo, resource.namespace, namespace));
  }

  /** What both a server and its VirtualServices have, each host once: of two that overlap, the narrower. */
  hostsOf(gateway: ConfigResource<GatewaySpec>, server: GatewayServer, namespace: string): BoundHost[] {
    const hosts = new Map<string, MeshRule[]>();
    for (const rule of this.boundTo(gateway, namespace)) {
      for (const host of hostsAt(gateway, server, rule)) {
        appendTo(hosts, host, rule);
      }
    }
    return [...hosts].map(([host, rules]) => ({ host, rules }));
  }
}

/** Of a server and a rule, which both serve on while others change. */
const shared = new WeakMap<GatewayServer, WeakMap<MeshRule, readonly string[]>>();

function hostsAt(
  { namespace }: ConfigResource<GatewaySpec>,
  server: GatewayServer,
  rule: MeshRule,
): readonly string[] {
  const ofServer = shared.get(server) ?? new WeakMap<MeshRule, readonly string[]>();
  shared.set(server, ofServer);
  const { hosts, resource } = rule;
  const known = ofServer.get(rule) ??
    sharedHosts({ namespace, server }, { namespace: resource.namespace, hosts });
  ofServer.set(rule, known);
  return known;
}
