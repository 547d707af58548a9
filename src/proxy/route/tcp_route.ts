/** Where bytes go: the first route whose conditions hold for a connection of which no request is read. */
import { Network, parseIp } from "../../lib/ip.ts";
import type { TcpMatch, TcpRoute } from "../../model/tcp_route.ts";
import { type WeightedTargets, weightedTargets } from "./weighted_targets.ts";
import { findByWildcard, hasLabelWildcard } from "./wildcard_names.ts";

export interface CompiledTcpRoute<Target> {
  readonly route: TcpRoute;
  readonly targets: WeightedTargets<Target>;
  /** Alternatives; null matches everything. */
  readonly alternatives: readonly CompiledTcpMatch[] | null;
}

interface CompiledTcpMatch {
  /** Null: any. */
  readonly serverNames: ReadonlySet<string> | null;
  /** Null: any. */
  readonly addresses: readonly Network[] | null;
}

/** `find` turns a cluster's name into what the proxy sends to. */
export function compileTcpRoute<Target>(
  route: TcpRoute,
  find: (cluster: string) => Target | null,
): CompiledTcpRoute<Target> {
  const { matches = [] } = route;
  return {
    route,
    targets: weightedTargets(route.destinations, find),
    alternatives: matches.length === 0 ? null : matches.map(compileMatch),
  };
}

/**
 * @param serverName as TLS asks for it, lower case; null for bytes that are no TLS
 * @param address the IP address that was dialled; null where it is not known, which is in no network
 */
export function findTcpRoute<Target>(
  routes: readonly CompiledTcpRoute<Target>[],
  serverName: string | null,
  address: string | null,
): CompiledTcpRoute<Target> | undefined {
  return routes.find(({ alternatives }) =>
    alternatives === null || alternatives.some((one) => holds(one, serverName, address))
  );
}

/** What one route says of a connection. */
export interface TcpVerdict {
  readonly route: TcpRoute;
  /** Why it does not take it, in a clause; null: it does. */
  readonly whyNot: string | null;
}

/** Every rule up to the one that matches; arguments are those of findTcpRoute(). */
export function explainTcpRoutes<Target>(
  routes: readonly CompiledTcpRoute<Target>[],
  serverName: string | null,
  address: string | null,
): readonly TcpVerdict[] {
  const found = findTcpRoute(routes, serverName, address);
  const looked = found === undefined ? routes : routes.slice(0, routes.indexOf(found) + 1);
  return looked.map((one) => ({
    route: one.route,
    whyNot: one === found ? null : whyNot(one, serverName, address),
  }));
}

/** Whether one of the names, or a wildcard among them, is that of the server; `*` is any name. */
export function namesServer(names: ReadonlySet<string>, serverName: string): boolean {
  if (names.has(serverName)) return true;
  const isIn = { get: (name: string) => names.has(name) || undefined };
  return findByWildcard(isIn, serverName, hasLabelWildcard(names)) ?? names.has("*");
}

function compileMatch({ serverNames, addresses }: TcpMatch): CompiledTcpMatch {
  return {
    serverNames: serverNames.length === 0 ? null : new Set(serverNames),
    addresses: addresses.length === 0 ? null : addresses.flatMap((address) => Network.parse(address) ?? []),
  };
}

function holds(match: CompiledTcpMatch, serverName: string | null, address: string | null): boolean {
  if (match.serverNames !== null) {
    if (serverName === null || !namesServer(match.serverNames, serverName)) return false;
  }
  if (match.addresses === null) return true;
  const bytes = address === null ? null : parseIp(address);
  return bytes !== null && match.addresses.some((network) => network.contains(bytes));
}

function whyNot<Target>(
  { route: { matches = [] }, alternatives }: CompiledTcpRoute<Target>,
  serverName: string | null,
  address: string | null,
): string {
  return matches.map(({ serverNames, addresses }, index) => {
    const compiled = alternatives?.[index] as CompiledTcpMatch;
    const named = { ...compiled, addresses: null };
    if (!holds(named, serverName, address)) {
      const found = serverName === null ? "there is none" : `it is ${serverName}`;
      return `the server name has to be ${serverNames.join(" or ")}, and ${found}`;
    }
    const dialled = address === null ? "nobody knows which was dialled" : `it is ${address}`;
    return `the address has to be in ${addresses.join(" or ")}, and ${dialled}`;
  }).join("; or ");
}
