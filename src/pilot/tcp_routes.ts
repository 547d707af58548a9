/** The `tls` and `tcp` rules of a VirtualService as routes for bytes, for one kind of caller. */
import type { RouteOrigin } from "../model/route.ts";
import { clusterName, type SkippedRule, type TcpRoute } from "../model/snapshot.ts";
import { destinationsOf } from "./route_actions.ts";
import { type BuildConditions, type RouteScope, WEIGHT_WHOLE, whyNot } from "./routes.ts";
import type { MeshRule, PassedOver } from "./virtual_services.ts";

export interface BuiltTcpRoutes {
  readonly routes: readonly TcpRoute[];
  readonly skipped: readonly SkippedRule[];
}

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

/** Those of several VirtualServices, or lists of one, behind each other. */
export function inOrder(parts: readonly BuiltTcpRoutes[]): BuiltTcpRoutes {
  const routes: TcpRoute[] = [];
  const skipped: SkippedRule[] = [];
  for (const part of parts) {
    skipped.push(...part.skipped.map((one) => ({ ...one, before: routes.length + one.before })));
    routes.push(...part.routes);
  }
  return { routes, skipped };
}

/** The rules about server names, in order. */
export function tlsRulesOf(rule: MeshRule, scope: RouteScope): BuiltTcpRoutes {
  const { namespace, spec } = rule.resource;
  const routes: TcpRoute[] = [];
  const skipped: SkippedRule[] = [];
  for (const [index, { match, route }] of spec.tls.entries()) {
    const { matches, why } = holding(match, namespace, scope);
    const origin = originOf(rule.resource, "tls", index);
    if (matches.length === 0) {
      skipped.push({ origin, before: routes.length, why });
      continue;
    }
    routes.push({
      origin,
      matches: matches.map(({ sniHosts, destinationSubnets }) => ({
        serverNames: sniHosts,
        addresses: destinationSubnets,
      })),
      destinations: destinationsOf(route, { ...scope, namespace }),
    });
  }
  return { routes, skipped };
}

/** The rules about bytes, in order; what comes after one that takes everything is left out. */
export function tcpRulesOf(rule: MeshRule, scope: RouteScope): BuiltTcpRoutes {
  const { namespace, spec } = rule.resource;
  const routes: TcpRoute[] = [];
  const skipped: SkippedRule[] = [];
  for (const [index, { match, route }] of spec.tcp.entries()) {
    const { matches, why } = holding(match, namespace, scope);
    const origin = originOf(rule.resource, "tcp", index);
    if (match.length > 0 && matches.length === 0) {
      skipped.push({ origin, before: routes.length, why });
      continue;
    }
    const all = matches.every(({ destinationSubnets }) => destinationSubnets.length > 0);
    routes.push({
      origin,
      matches: all ? matches.map((one) => ({ serverNames: [], addresses: one.destinationSubnets })) : [],
      destinations: destinationsOf(route, { ...scope, namespace }),
    });
    if (routes.at(-1)?.matches?.length === 0) break;
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

function defaultTcpRoute(host: string, port: number): TcpRoute {
  return { origin: null, destinations: [{ cluster: clusterName(port, null, host), weight: WEIGHT_WHOLE }] };
}

function originOf(resource: MeshRule["resource"], list: "tls" | "tcp", rule: number): RouteOrigin {
  const { file, line } = resource.positionOf(["spec", list, rule]);
  return { virtualService: `${resource.namespace}/${resource.name}`, rule, file, line };
}
