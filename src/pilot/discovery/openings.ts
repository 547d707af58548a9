/**
 * What proxies open for others, who are told of it afterwards: ports of sidecars, and ports, server names and hosts of
 * gateways.
 */
import { hostMatches } from "../../config/host.ts";
import { contentHash } from "../../lib/hash.ts";
import type { GatewayListener } from "../../model/gateway_listener.ts";
import {
  type ResourceKey,
  resourceKey,
  type Snapshot,
  type VersionedResource,
} from "../../model/snapshot.ts";
import { clustersOf } from "../gateway_listeners.ts";
import { withPlainTextOf } from "./plain_text.ts";

/** Whether a proxy that has some settings is to open ports for others, or to take plain text where it takes none. */
export function opensPorts(next: VersionedResource, before: VersionedResource): boolean {
  if (next === before || next.body.kind !== "proxy" || before.body.kind !== "proxy") return false;
  const open = new Set(before.body.inbound.map(({ port }) => port));
  return next.body.inbound.some(({ port }) => !open.has(port)) || withPlainTextOf(next, before) !== before;
}

const joined = new WeakMap<Snapshot, WeakMap<Snapshot, Snapshot>>();

/**
 * What a gateway has, and besides of `other` whatever it serves that `own` would turn away. What both serve it serves as
 * `own` says. The same object if there is nothing of that.
 */
export function withDoorsOf(other: Snapshot, own: Snapshot): Snapshot {
  const known = joined.get(own) ?? new WeakMap<Snapshot, Snapshot>();
  joined.set(own, known);
  let both = known.get(other);
  if (both === undefined) {
    both = other === own ? own : join(own, other);
    known.set(other, both);
  }
  return both;
}

function join(own: Snapshot, other: Snapshot): Snapshot {
  const listeners = addedListeners(listenersOf(own), listenersOf(other));
  const virtualHosts = addedVirtualHosts(own, other, [...listenersOf(own), ...listeners]);
  if (listeners.length + virtualHosts.length === 0) return own;
  const both = new Map(own);
  for (const body of listeners) both.set(resourceKey(body), { version: contentHash(body), body });
  for (const resource of virtualHosts) both.set(resourceKey(resource.body), resource);
  for (const cluster of clustersOf({ listeners, virtualHosts })) {
    for (const key of [`cluster/${cluster}`, `endpoints/${cluster}`] as ResourceKey[]) {
      const resource = other.get(key);
      if (resource !== undefined && !both.has(key)) both.set(key, resource);
    }
  }
  return both;
}

function listenersOf(snapshot: Snapshot): GatewayListener[] {
  return [...snapshot.values()].map(({ body }) => body).filter((body) => body.kind === "gatewayListener");
}

/** Listeners at other ports, and those at the same ports with more server names than they had. */
function addedListeners(
  own: readonly GatewayListener[],
  other: readonly GatewayListener[],
): GatewayListener[] {
  const byName = new Map(own.map((listener) => [listener.name, listener]));
  const ports = new Set(own.map(({ port }) => port));
  return other.flatMap((listener) => {
    // One port is not bound in two ways at once.
    if (!ports.has(listener.port)) return [listener];
    const same = byName.get(listener.name);
    const chains = same === undefined ? [] : addedChains(same, listener);
    return same === undefined || chains.length === 0
      ? []
      : [{ ...same, chains: [...same.chains, ...chains] }];
  });
}

function addedChains(own: GatewayListener, other: GatewayListener): GatewayListener["chains"] {
  const served = own.chains.flatMap(({ serverNames }) => serverNames);
  // In plain text, it has all that comes.
  if (served.length === 0) return [];
  return other.chains.map((chain) => {
    const serverNames = chain.serverNames.filter((name) => !isServed(name, served));
    return { ...chain, serverNames };
  }).filter(({ serverNames }) => serverNames.length > 0);
}

function addedVirtualHosts(
  own: Snapshot,
  other: Snapshot,
  listeners: readonly GatewayListener[],
): VersionedResource[] {
  const served = new Map<string, string[]>();
  for (const { table } of listeners.flatMap(({ chains }) => chains)) {
    if (table !== null) served.set(table, []);
  }
  for (const { body } of own.values()) {
    if (body.kind === "virtualHost") served.get(body.table ?? "")?.push(...body.domains);
  }
  return [...other.values()].filter(({ body }) => {
    if (body.kind !== "virtualHost" || own.has(resourceKey(body))) return false;
    const hosts = served.get(body.table ?? "");
    return hosts !== undefined && !body.domains.some((host) => isServed(host, hosts));
  });
}

function isServed(name: string, served: readonly string[]): boolean {
  return served.some((pattern) => hostMatches(pattern, name));
}
