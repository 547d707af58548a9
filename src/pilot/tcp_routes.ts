/** The `tls` and `tcp` rules of a VirtualService as routes for bytes, for one kind of caller. */
import type { RouteOrigin } from "../model/route.ts";
import { clusterName, type TcpMatch, type TcpRoute } from "../model/snapshot.ts";
import { destinationsOf } from "./route_actions.ts";
import { type RouteScope, WEIGHT_WHOLE, whyNot } from "./routes.ts";
import type { MeshRule } from "./virtual_services.ts";

/**
 * The routes of a service port: those of TLS by server name, then those of TCP, then all to the service itself. As in
 * Istio, rules about server names leave nothing for other names, while rules about addresses leave the other addresses.
 */
export function tcpRoutesOf(
  rule: MeshRule | undefined,
  host: string,
  mayBeTls: boolean,
  scope: RouteScope,
): readonly TcpRoute[] {
  if (rule === undefined) return [defaultTcpRoute(host, scope.port)];
  const tls = mayBeTls ? tlsRulesOf(rule, scope) : [];
  const tcp = tcpRulesOf(rule, scope);
  const complete = tls.length > 0 || tcp.some(({ matches = [] }) => matches.length === 0);
  return [...tls, ...tcp, ...(complete ? [] : [defaultTcpRoute(host, scope.port)])];
}

/** The rules about server names, in order. */
export function tlsRulesOf({ key, resource }: MeshRule, scope: RouteScope): readonly TcpRoute[] {
  const { namespace, spec } = resource;
  return spec.tls.flatMap((rule, index) => {
    const matches = rule.match.filter((match) => whyNot(match, namespace, scope) === null)
      .map(({ sniHosts, destinationSubnets }): TcpMatch => ({
        serverNames: sniHosts,
        addresses: destinationSubnets,
      }));
    if (matches.length === 0) return [];
    const origin = originOf(key, resource.positionOf(["spec", "tls", index]), index);
    return [{ origin, matches, destinations: destinationsOf(rule.route, { ...scope, namespace }) }];
  });
}

/** The rules about bytes, in order; what comes after one that takes everything is left out. */
export function tcpRulesOf({ key, resource }: MeshRule, scope: RouteScope): readonly TcpRoute[] {
  const { namespace, spec } = resource;
  const routes: TcpRoute[] = [];
  for (const [index, rule] of spec.tcp.entries()) {
    const matches = rule.match.filter((match) => whyNot(match, namespace, scope) === null);
    if (rule.match.length > 0 && matches.length === 0) continue;
    const all = matches.every(({ destinationSubnets }) => destinationSubnets.length > 0);
    routes.push({
      origin: originOf(key, resource.positionOf(["spec", "tcp", index]), index),
      matches: all ? matches.map((match) => ({ serverNames: [], addresses: match.destinationSubnets })) : [],
      destinations: destinationsOf(rule.route, { ...scope, namespace }),
    });
    if (routes.at(-1)?.matches?.length === 0) break;
  }
  return routes;
}

function defaultTcpRoute(host: string, port: number): TcpRoute {
  return { origin: null, destinations: [{ cluster: clusterName(port, null, host), weight: WEIGHT_WHOLE }] };
}

function originOf(
  virtualService: string,
  { file, line }: { readonly file: string; readonly line: number },
  rule: number,
): RouteOrigin {
  return { virtualService, rule, file, line };
}
