/** The rules of a VirtualService as the routes of one virtual host, for one kind of caller. */
import { resolveHost } from "../config/host.ts";
import { MESH_GATEWAY } from "../config/schema/gateway_name.ts";
import type { HttpMatch } from "../config/schema/http_match.ts";
import type { HttpRule } from "../config/schema/http_rule.ts";
import { clusterName, type Route, type RouteMatch, type WeightedCluster } from "../model/snapshot.ts";
import { hasLabels } from "./services.ts";
import type { MeshRule } from "./virtual_services.ts";

/** Istio's name of the route of a service that no VirtualService routes. */
const DEFAULT_ROUTE_NAME = "default";

/** All of it, where a destination stands alone. */
export const WEIGHT_WHOLE = 100;

/** What is known about requests when routes are built. */
export interface RouteScope {
  /** Of the virtual host. */
  readonly port: number;
  /** Of the caller. */
  readonly namespace: string;
  /** Of the caller. */
  readonly labels: Readonly<Record<string, string>>;
  /** The port of a destination that names none. */
  inferredPort(host: string): number;
}

/**
 * The routes of a rule; empty when all of it is for other callers or other ports, and Istio then treats the host as
 * if the VirtualService were not there.
 */
export function routesOf(rule: MeshRule, scope: RouteScope): readonly Route[] {
  const { resource } = rule;
  return resource.spec.http.flatMap((http, index) => {
    const matches = http.match.filter((match) => applies(match, scope));
    if (http.match.length > 0 && matches.length === 0) return [];
    const { file, line } = resource.positionOf(["spec", "http", index]);
    return [{
      name: http.name,
      origin: { virtualService: rule.key, rule: index, file, line },
      matches: matches.map(routeMatch),
      action: { type: "forward", destinations: destinationsOf(http, resource.namespace, scope) },
    }];
  });
}

/** Everything to the service itself. */
export function defaultRoutes(host: string, port: number): readonly Route[] {
  const destinations = [{ cluster: clusterName(port, null, host), weight: WEIGHT_WHOLE }];
  return [{ name: DEFAULT_ROUTE_NAME, origin: null, matches: [], action: { type: "forward", destinations } }];
}

/** The part of a match that is decided once per caller and port, not per request. */
function applies(match: HttpMatch, scope: RouteScope): boolean {
  // A match's own list replaces that of the VirtualService, which is known to have the mesh.
  if (match.gateways.length > 0 && !match.gateways.includes(MESH_GATEWAY)) return false;
  if (match.port !== null && match.port !== scope.port) return false;
  if (match.sourceNamespace !== null && match.sourceNamespace !== scope.namespace) return false;
  return hasLabels(scope.labels, match.sourceLabels);
}

function routeMatch(match: HttpMatch): RouteMatch {
  return {
    name: match.name,
    path: match.uri,
    ignorePathCase: match.ignoreUriCase,
    method: match.method,
    scheme: match.scheme,
    authority: match.authority,
    headers: match.headers,
    withoutHeaders: match.withoutHeaders,
    queryParams: match.queryParams,
  };
}

/** A single destination gets everything whatever its weight; among several, weight 0 takes a destination out. */
function destinationsOf(http: HttpRule, namespace: string, scope: RouteScope): readonly WeightedCluster[] {
  const single = http.route.length === 1;
  const taken = single ? http.route : http.route.filter(({ weight }) => weight > 0);
  return taken.map(({ destination, weight }) => {
    const host = resolveHost(destination.host, namespace);
    const port = destination.port ?? scope.inferredPort(host);
    return { cluster: clusterName(port, destination.subset, host), weight: single ? WEIGHT_WHOLE : weight };
  });
}
