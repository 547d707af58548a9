/** The rules of a VirtualService as the routes of one virtual host, for one kind of caller. */
import type { Labels } from "../model/labels.ts";
import type { PlacedRule } from "../config/delegation.ts";
import { MESH_GATEWAY, resolveGateway } from "../config/schema/gateway_name.ts";
import type { HttpMatch } from "../config/schema/http_match.ts";
import type { HttpRetry } from "../config/schema/http_retry.ts";
import type { Route, RouteMatch, RouteOrigin, SkippedRule, WeightedCluster } from "../model/route.ts";
import { clusterName } from "../model/cluster.ts";
import { retryPolicy, routeEffects } from "./route_actions.ts";
import type { MeshRule } from "./mesh_rule.ts";

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
  readonly labels: Labels;
  /** `NAMESPACE/NAME` of the gateway where they hold. @default that of sidecars, `mesh` */
  readonly gateway?: string;
  /** The port of a destination that names none. */
  inferredPort(host: string): number;
  /** What holds for rules that say nothing of retries (MeshConfig.defaultHttpRetryPolicy); null: what every proxy does. */
  readonly retries: HttpRetry | null;
}

export interface BuiltRoutes {
  /**
   * Empty when all of the rule is for other callers or other ports, and Istio then treats the host as if the
   * VirtualService were not there.
   */
  readonly routes: readonly Route[];
  readonly skipped: readonly SkippedRule[];
}

export const NO_ROUTES: BuiltRoutes = { routes: [], skipped: [] };

/** The routes of a VirtualService, and its rules that are none here. */
export function routesOf(rule: MeshRule, scope: RouteScope): BuiltRoutes {
  const routes: Route[] = [];
  const skipped: SkippedRule[] = [];
  for (const placed of rule.rules) {
    const { http, resource } = placed;
    const reasons = http.match.map((match) => whyNot(match, resource.namespace, scope));
    const matches = http.match.filter((_, index) => reasons[index] === null);
    const origin = originOf(placed.resource, "http", placed.index);
    if (http.match.length > 0 && matches.length === 0) {
      skipped.push({ origin, before: routes.length, why: [...new Set(reasons)].join("; or ") });
      continue;
    }
    const { port, inferredPort, retries } = scope;
    const effects = routeEffects(http, { namespace: resource.namespace, port, inferredPort, retries });
    routes.push({ name: http.name, origin, matches: matches.map(routeMatch), ...effects });
  }
  return { routes, skipped };
}

/** Everything to the service itself. */
export function defaultRoutes(host: string, port: number, retries: HttpRetry | null): readonly Route[] {
  const destinations = [{ cluster: clusterName(port, null, host), weight: WEIGHT_WHOLE }];
  return [forwardRoute(null, [], destinations, retries)];
}

/** A route that has no more to say than where requests go; `origin` null: that of a service that no rule routes. */
export function forwardRoute(
  origin: RouteOrigin | null,
  matches: readonly RouteMatch[],
  destinations: readonly WeightedCluster[],
  retries: HttpRetry | null,
): Route {
  const action = {
    type: "forward",
    destinations,
    ...retries === null ? {} : { retries: retryPolicy(retries) },
  } as const;
  return { name: origin === null ? DEFAULT_ROUTE_NAME : null, origin, matches, action };
}

/** Of a rule by its place in one of the three lists of a VirtualService. */
export function originOf(
  resource: PlacedRule["resource"],
  list: "http" | "tls" | "tcp",
  rule: number,
): RouteOrigin {
  const { file, line } = resource.positionOf(["spec", list, rule]);
  return { virtualService: `${resource.namespace}/${resource.name}`, rule, file, line };
}

/** What of a match is decided once per caller and port, for requests as for connections. */
export interface BuildConditions {
  readonly gateways: readonly string[];
  readonly port: number | null;
  readonly sourceNamespace: string | null;
  readonly sourceLabels: Labels;
}

/** Why those conditions do not hold, as a clause; null when they do. `namespace` is where they are written. */
export function whyNot(match: BuildConditions, namespace: string, scope: RouteScope): string | null {
  const { gateway = MESH_GATEWAY } = scope;
  // A match's own list replaces that of the VirtualService, which is known to have the gateway.
  const named = match.gateways.map((written) => resolveGateway(written, namespace));
  if (named.length > 0 && !named.includes(gateway)) {
    return `it is for the gateways ${match.gateways.join(", ")}, and "${gateway}" is not among them`;
  }
  if (match.port !== null && match.port !== scope.port) {
    return `it is for port ${match.port}, and this is port ${scope.port}`;
  }
  if (match.sourceNamespace !== null && match.sourceNamespace !== scope.namespace) {
    return `it is for callers of the namespace ${match.sourceNamespace}, and this one is of ${scope.namespace}`;
  }
  for (const [key, value] of Object.entries(match.sourceLabels)) {
    const own = Object.hasOwn(scope.labels, key) ? scope.labels[key] : undefined;
    if (own === value) continue;
    const found = own === undefined
      ? "the caller has no such label"
      : `the caller's is ${JSON.stringify(own)}`;
    return `it is for callers whose label ${key} is ${JSON.stringify(value)}, and ${found}`;
  }
  return null;
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
