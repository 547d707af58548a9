/**
 * Which HTTP rules a gateway tries for a host, in order, where several VirtualServices have it: other than a sidecar it
 * merges them, and puts last what takes everything.
 */
import { appendTo } from "../../lib/append_to.ts";
import type { Delegates } from "../delegation.ts";
import { resolveHost } from "../host.ts";
import type { ConfigResource, ResourceSet } from "../resource.ts";
import type { GatewayServer } from "../schema/gateway.ts";
import { MESH_GATEWAY } from "../schema/gateway_name.ts";
import type { HttpMatch } from "../schema/http_match.ts";
import type { VirtualServiceSpec } from "../schema/virtual_service.ts";
import { serverSpeech } from "../server_speech.ts";
import { sharedHosts } from "../shared_hosts.ts";
import { viewersOf } from "../visibility.ts";
import { gatewaysByKey } from "./gateways.ts";
import { gatewaysOf, ruleSequence, type SequencedRule } from "./rule_sequence.ts";

type VirtualService = ConfigResource<VirtualServiceSpec>;

export interface MergedRules {
  /** In order. */
  readonly rules: readonly SequencedRule[];
  /** `NAMESPACE/NAME`. */
  readonly gateway: string;
}

export interface Merging {
  readonly places: readonly MergedRules[];
  /** The VirtualServices whose rules were merged. */
  readonly merged: ReadonlySet<VirtualService>;
  /** The merged VirtualServices that nowhere stand by themselves. */
  readonly only: ReadonlySet<VirtualService>;
}

export function mergedRules(resources: ResourceSet, delegates: Delegates): Merging {
  const places: MergedRules[] = [];
  const [merged, alone] = [new Set<VirtualService>(), new Set<VirtualService>()];
  const bound = boundTo(resources);
  for (const [gateway, { namespace, spec }] of gatewaysByKey(resources)) {
    for (const server of spec.servers) {
      for (const group of byHost(namespace, server, bound.get(gateway) ?? []).values()) {
        for (const one of group) (group.length > 1 ? merged : alone).add(one);
        if (group.length === 1) continue;
        const rules = group.flatMap((one) => ruleSequence(one, delegates));
        places.push({ rules: catchAllLast(rules, server.port.number), gateway });
      }
    }
  }
  return { places, merged, only: merged.difference(alone) };
}

/** By the gateway's `NAMESPACE/NAME`. Left out are those that sidecars heed, too, or that not every gateway sees. */
function boundTo({ virtualServices }: ResourceSet): ReadonlyMap<string, readonly VirtualService[]> {
  const bound = new Map<string, VirtualService[]>();
  for (const resource of virtualServices) {
    const { gateways, exportTo } = resource.spec;
    if (gateways.includes(MESH_GATEWAY)) continue;
    if (!viewersOf({ namespace: resource.namespace, exportTo }).has("*")) continue;
    for (const key of new Set(gatewaysOf(resource))) appendTo(bound, key, resource);
  }
  return bound;
}

function byHost(
  namespace: string,
  server: GatewayServer,
  bound: readonly VirtualService[],
): ReadonlyMap<string, VirtualService[]> {
  const groups = new Map<string, VirtualService[]>();
  const speech = serverSpeech(server);
  if (speech !== "https" && (speech !== "http" || server.tls?.httpsRedirect === true)) return groups;
  for (const resource of bound) {
    const hosts = resource.spec.hosts.map((host) => resolveHost(host, resource.namespace));
    const shared = sharedHosts({ namespace, server }, { namespace: resource.namespace, hosts });
    for (const host of shared) appendTo(groups, host, resource);
  }
  return groups;
}

function catchAllLast(rules: readonly SequencedRule[], port: number): readonly SequencedRule[] {
  const takesAll = ({ blocks, delegates }: SequencedRule) =>
    !delegates && blocks.some((block) => block.some((match) => isCatchAll(match, port)));
  return [...rules.filter((rule) => !takesAll(rule)), ...rules.filter(takesAll)];
}

function isCatchAll(match: HttpMatch, port: number): boolean {
  const { uri, method, scheme, authority, headers, withoutHeaders, queryParams } = match;
  if (match.port !== null && match.port !== port) return false;
  if (headers.length + withoutHeaders.length + queryParams.length > 0) return false;
  if (method !== null || scheme !== null || authority !== null) return false;
  if (uri === null || uri.type === "present") return true;
  return uri.type !== "exact" && uri.value === (uri.type === "prefix" ? "/" : ".*");
}
