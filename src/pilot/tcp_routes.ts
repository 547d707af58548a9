/** The `tls` and `tcp` rules of a VirtualService as routes for bytes, for one kind of caller. */
import { Network, parseIp } from "../lib/ip.ts";
import { NO_CONDITIONS, type SkippedRule } from "../model/route.ts";
import { clusterName } from "../model/cluster.ts";
import type { TcpMatch, TcpRoute } from "../model/tcp_route.ts";
import { destinationsOf, type WeightedDestination } from "./route_actions.ts";
import {
  type BuildConditions,
  type BuiltRoutes,
  forwardRoute,
  originOf,
  type RouteScope,
  WEIGHT_WHOLE,
  whyNot,
} from "./routes.ts";
import type { MeshRule } from "./mesh_rule.ts";
import type { PassedOver } from "./virtual_services.ts";

interface InOrder<Built> {
  readonly routes: readonly Built[];
  readonly skipped: readonly SkippedRule[];
}

export type BuiltTcpRoutes = InOrder<TcpRoute>;

/**
 * The routes of a service port: those of TLS by server name, then those of TCP, then all to the service itself. As in
 * Istio, rules about server names leave nothing for other names, while rules about addresses leave the other addresses.
 */
export function tcpRoutesOf(
  rule: MeshRule | undefined,
  host: string,
  mayBeTls: boolean,
  scope: RouteScope,
): BuiltTcpRoutes {
  if (rule === undefined) return { routes: [defaultTcpRoute(host, scope.port)], skipped: [] };
  const tls = mayBeTls ? tlsRulesOf(rule, scope) : { routes: [], skipped: tlsRulesWithoutTls(rule) };
  const tcp = tcpRulesOf(rule, scope);
  const complete = tls.routes.length > 0 || tcp.routes.some(({ matches = [] }) => matches.length === 0);
  const { routes, skipped } = inOrder([tls, tcp]);
  return { routes: complete ? routes : [...routes, defaultTcpRoute(host, scope.port)], skipped };
}

/**
 * The same for requests that ask for the port without a tunnel. All that is known of the address that they mean is an
 * authority that has it.
 *
 * @param domains the authorities that lead to the port
 */
export function requestRoutesOf(
  { routes, skipped }: BuiltTcpRoutes,
  domains: readonly string[],
  retries: RouteScope["retries"],
): BuiltRoutes {
  const built: BuiltRoutes[] = routes.map(({ origin, matches = [], destinations }) => {
    const asked = domains.filter((domain) => matches.some(({ addresses }) => isIn(domain, addresses)));
    if (matches.length > 0 && asked.length === 0) {
      const networks = matches.flatMap(({ addresses }) => addresses).join(", ");
      const why = `it is for the addresses ${networks}, and a request names none of them`;
      return { routes: [], skipped: origin === null ? [] : [{ origin, before: 0, why }] };
    }
    const conditions = asked.map((value) => ({
      ...NO_CONDITIONS,
      authority: { type: "exact", value } as const,
    }));
    return { routes: [forwardRoute(origin, conditions, destinations, retries)], skipped: [] };
  });
  const before = skipped.map((one) => ({
    ...one,
    before: built.slice(0, one.before).reduce((sum, { routes }) => sum + routes.length, 0),
  }));
  const all = inOrder(built);
  return { routes: all.routes, skipped: [...before, ...all.skipped].sort((a, b) => a.before - b.before) };
}

/** The routes of several VirtualServices, or of the lists of one, one behind the other. */
export function inOrder<Built>(parts: readonly InOrder<Built>[]): InOrder<Built> {
  const routes: Built[] = [];
  const skipped: SkippedRule[] = [];
  for (const part of parts) {
    skipped.push(...part.skipped.map((one) => ({ ...one, before: routes.length + one.before })));
    routes.push(...part.routes);
  }
  return { routes, skipped };
}

/** The rules about server names, in order. */
export function tlsRulesOf(rule: MeshRule, scope: RouteScope): BuiltTcpRoutes {
  return built(
    "tls",
    rule,
    rule.resource.spec.tls,
    scope,
    (matches) =>
      matches.map(({ sniHosts, destinationSubnets }) => ({
        serverNames: sniHosts,
        addresses: destinationSubnets,
      })),
  );
}

/** The rules about bytes, in order; what comes after one that takes everything is left out. */
export function tcpRulesOf(rule: MeshRule, scope: RouteScope): BuiltTcpRoutes {
  return built("tcp", rule, rule.resource.spec.tcp, scope, (matches) => {
    const isForSome = matches.every(({ destinationSubnets }) => destinationSubnets.length > 0);
    return isForSome ? matches.map((one) => ({ serverNames: [], addresses: one.destinationSubnets })) : [];
  });
}

/** `matchesOf` makes of the blocks that hold what the proxy compares; none: everything. */
function built<Match extends BuildConditions>(
  kind: "tls" | "tcp",
  { resource }: MeshRule,
  rules: readonly { readonly match: readonly Match[]; readonly route: readonly WeightedDestination[] }[],
  scope: RouteScope,
  matchesOf: (matches: readonly Match[]) => readonly TcpMatch[],
): BuiltTcpRoutes {
  const { namespace } = resource;
  const routes: TcpRoute[] = [];
  const skipped: SkippedRule[] = [];
  for (const [index, { match, route }] of rules.entries()) {
    const { matches: held, why } = holding(match, namespace, scope);
    const origin = originOf(resource, kind, index);
    if (match.length > 0 && held.length === 0) {
      skipped.push({ origin, before: routes.length, why });
      continue;
    }
    const matches = matchesOf(held);
    routes.push({ origin, matches, destinations: destinationsOf(route, { ...scope, namespace }) });
    if (matches.length === 0) break;
  }
  return { routes, skipped };
}

/** Each rule for bytes of a VirtualService that has no say, before those of the one that has. */
export function tcpRulesPassedOver({ resource, why }: PassedOver): readonly SkippedRule[] {
  const { tls, tcp } = resource.spec;
  return [
    ...tls.map((_, index) => ({ origin: originOf(resource, "tls", index), before: 0, why })),
    ...tcp.map((_, index) => ({ origin: originOf(resource, "tcp", index), before: 0, why })),
  ];
}

function tlsRulesWithoutTls({ resource }: MeshRule): readonly SkippedRule[] {
  const why = "it is for server names, and the port is not declared to carry TLS";
  return resource.spec.tls.map((_, index) => ({ origin: originOf(resource, "tls", index), before: 0, why }));
}

/** The blocks that hold for the caller and the port, and why the others do not. */
function holding<Match extends BuildConditions>(
  match: readonly Match[],
  namespace: string,
  scope: RouteScope,
): { readonly matches: readonly Match[]; readonly why: string } {
  const reasons = match.map((one) => whyNot(one, namespace, scope));
  return {
    matches: match.filter((_, index) => reasons[index] === null),
    why: [...new Set(reasons)].join("; or "),
  };
}

/** Whether an authority has an address in one of the networks. */
function isIn(authority: string, networks: readonly string[]): boolean {
  const address = parseIp(authority.replace(/^\[(.*)\](:\d+)?$/, "$1").replace(/^([0-9.]+):\d+$/, "$1"));
  return address !== null && networks.some((network) => Network.parse(network)?.contains(address) === true);
}

function defaultTcpRoute(host: string, port: number): TcpRoute {
  return { origin: null, destinations: [{ cluster: clusterName(port, null, host), weight: WEIGHT_WHOLE }] };
}
