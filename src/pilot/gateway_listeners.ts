/** The ports of a gateway, and the virtual hosts behind them: what the Gateways that select it ask for, together. */
import type { ConfigResource } from "../config/resource.ts";
import type { GatewayServer, GatewaySpec } from "../config/schema/gateway.ts";
import { listenerName } from "../config/server_place.ts";
import { isPlainServer, type ServerSpeech, serverSpeech } from "../config/server_speech.ts";
import type { GatewayChain, GatewayListener } from "../model/gateway_listener.ts";
import type { Route, SkippedRule } from "../model/route.ts";
import type { Resource, VersionedResource, VirtualHost } from "../model/snapshot.ts";
import type { GatewayRules } from "./gateway_rules.ts";
import { keyOf, labelsOf } from "./host_parts.ts";
import { type RouteScope, routesOf } from "./routes.ts";
import { terminatedTls } from "./server_tls.ts";
import { type BuiltTcpRoutes, inOrder, tcpRulesOf, tlsRulesOf } from "./tcp_routes.ts";
import type { MeshRule } from "./mesh_rule.ts";

/** A gateway, as far as its routes depend on it. */
export type GatewayScope = Omit<RouteScope, "port" | "gateway" | "inferredPort"> & {
  /** Virtual hosts and ports also have the rules that were left out. */
  readonly tellsSkipped: boolean;
  /** The port of a destination that names none, at a port of the gateway. */
  inferredPort(host: string, port: number): number;
  /** The body of a key, which has all that it is made of, with its version. */
  body(key: string, build: () => Resource): VersionedResource;
};

export interface GatewayDoors {
  readonly listeners: readonly GatewayListener[];
  readonly virtualHosts: readonly VersionedResource[];
}

/** One `servers[]` of a Gateway. */
interface Placed {
  readonly gateway: ConfigResource<GatewaySpec>;
  readonly server: GatewayServer;
}

/** What servers speak that carry requests, in plain text or once their TLS has ended. */
const REQUESTS: ReadonlySet<ServerSpeech> = new Set(["http", "https"]);

/** Of several servers that a port cannot be at once, the first one by namespace, name and place decides what it is. */
export function gatewayDoors(rules: GatewayRules, scope: GatewayScope): GatewayDoors {
  const placed = rules.selecting(scope.labels).flatMap((gateway) =>
    gateway.spec.servers.map((server) => ({ gateway, server }))
  );
  const listeners: GatewayListener[] = [];
  const virtualHosts: VersionedResource[] = [];
  for (const [name, servers] of Map.groupBy(placed, ({ server }) => listenerName(server))) {
    const { server: { bind, port } } = servers[0] as Placed;
    const chains = isPlainServer((servers[0] as Placed).server)
      ? plainChain(rules, scope, servers.filter(({ server }) => isPlainServer(server)), virtualHosts)
      : servers.filter((one) => !isPlainServer(one.server)).map((one) =>
        tlsChain(rules, scope, one, virtualHosts)
      );
    listeners.push({ kind: "gatewayListener", name, bind, port: port.number, chains });
  }
  return { listeners, virtualHosts };
}

/** The clusters that something leads to, for all that is routed. */
export function clustersOf({ listeners, virtualHosts }: GatewayDoors): ReadonlySet<string> {
  const used = new Set<string>();
  const bytes = listeners.flatMap(({ chains }) => chains.flatMap(({ routes }) => routes));
  for (const { destinations } of bytes) for (const { cluster } of destinations) used.add(cluster);
  for (const { body } of virtualHosts) {
    if (body.kind === "virtualHost") { for (const cluster of clustersOfHost(body)) used.add(cluster); }
  }
  return used;
}

const clustersOfHosts = new WeakMap<VirtualHost, readonly string[]>();

function clustersOfHost(host: VirtualHost): readonly string[] {
  let clusters = clustersOfHosts.get(host);
  if (clusters === undefined) {
    const actions = host.routes.map(({ action }) => action).filter((action) => action.type === "forward");
    const mirrors = actions.flatMap(({ mirrors = [] }) => mirrors);
    const all = [...actions.flatMap(({ destinations }) => destinations), ...mirrors];
    clusters = [...new Set(all.map(({ cluster }) => cluster))];
    clustersOfHosts.set(host, clusters);
  }
  return clusters;
}

/** All servers of a plain port share it: either its requests or its bytes. */
function plainChain(
  rules: GatewayRules,
  scope: GatewayScope,
  servers: readonly Placed[],
  virtualHosts: VersionedResource[],
): readonly GatewayChain[] {
  const first = servers[0] as Placed;
  const alike = servers.filter((one) => serverSpeech(one.server) === serverSpeech(first.server));
  if (serverSpeech(first.server) === "tcp") {
    const built = inOrder(alike.map((one) => bytes(rules, scope, one)));
    return [{ serverNames: [], tls: null, table: null, ...told(built, scope) }];
  }
  const table = `http.${listenerName(first.server)}`;
  virtualHosts.push(...tableOf(rules, scope, table, alike));
  return [{ serverNames: [], tls: null, table, routes: [] }];
}

function tlsChain(
  rules: GatewayRules,
  scope: GatewayScope,
  placed: Placed,
  virtualHosts: VersionedResource[],
): GatewayChain {
  const { gateway, server } = placed;
  const speech = serverSpeech(placed.server);
  const serverNames = [...new Set(server.hosts.map(({ host }) => host))];
  const tls = speech === "passthrough" || server.tls === null ? null : terminatedTls(server.tls);
  if (!REQUESTS.has(speech)) {
    return { serverNames, tls, table: null, ...told(bytes(rules, scope, placed), scope) };
  }
  const { number, name } = server.port;
  const table = `https.${number}.${name}.${gateway.name}.${gateway.namespace}`;
  virtualHosts.push(...tableOf(rules, scope, table, [placed]));
  return { serverNames, tls, table, routes: [] };
}

interface Host {
  /** Of each server that has it the VirtualServices that route it, in order. */
  readonly bound: (readonly [placed: Placed, rule: MeshRule])[];
  readonly namespace: string;
  requiresTls: boolean;
}

/** The virtual hosts of some servers; a host that several have is one, with the rules of all. */
function tableOf(
  rules: GatewayRules,
  scope: GatewayScope,
  table: string,
  servers: readonly Placed[],
): VersionedResource[] {
  const hosts = new Map<string, Host>();
  const hostAt = (host: string, namespace: string): Host => {
    const known = hosts.get(host) ?? { bound: [], namespace, requiresTls: false };
    hosts.set(host, known);
    return known;
  };
  for (const placed of servers) {
    const { gateway, server } = placed;
    const requiresTls = server.tls?.httpsRedirect === true;
    for (const { host, rules: bound } of rules.hostsOf(gateway, server, scope.namespace)) {
      const known = hostAt(host, (bound[0] as MeshRule).resource.namespace);
      for (const rule of bound) known.bound.push([placed, rule]);
      known.requiresTls ||= requiresTls;
    }
    if (!requiresTls) continue;
    // Redirected whether or not anything is routed there.
    for (const { host } of server.hosts) hostAt(host, gateway.namespace).requiresTls = true;
  }
  const { number } = (servers[0] as Placed).server.port;
  return [...hosts].map(([name, host]) =>
    scope.body(
      keyOf(
        "gatewayHost",
        table,
        name,
        number,
        host.namespace,
        `${host.requiresTls}`,
        ...host.bound.map(
          ([placed, rule]) => sourceOf(rule, routeScope(scope, placed)),
        ),
      ),
      () => virtualHostOf(name, host, table, number, scope),
    )
  );
}

/** All on which the routes of a rule depend at a server. */
function sourceOf(rule: MeshRule, scope: RouteScope): string {
  const caller = rule.asksForSource ? [scope.namespace, ...labelsOf(scope, rule.sourceLabelKeys)] : [];
  const ports = rule.portlessHosts.map((host) => scope.inferredPort(host));
  return keyOf(rule.serial, scope.gateway, scope.port, ports.join(" "), caller.length, ...caller);
}

function virtualHostOf(
  host: string,
  { bound, namespace, requiresTls }: Host,
  table: string,
  port: number,
  scope: GatewayScope,
): VirtualHost {
  const routes: Route[] = [];
  const skipped: SkippedRule[] = [];
  for (const [placed, rule] of bound) {
    const built = routesOf(rule, routeScope(scope, placed));
    skipped.push(...built.skipped.map((one) => ({ ...one, before: routes.length + one.before })));
    routes.push(...built.routes);
  }
  return {
    kind: "virtualHost",
    name: `${table}|${host}`,
    table,
    ...(requiresTls ? { requiresTls } : {}),
    service: { host, name: host, namespace },
    port,
    domains: [host],
    routes: catchAllLast(bound.length > 1 ? distinctRoutes(routes) : routes),
    ...scope.tellsSkipped && skipped.length > 0 ? { skipped } : {},
  };
}

/** Two servers of one port may lead to the same VirtualService, and for each a rule may match something else. */
function distinctRoutes(routes: readonly Route[]): readonly Route[] {
  return [...new Map(routes.map((route) => [JSON.stringify(route), route])).values()];
}

/** Several VirtualServices for one host become one: what takes everything must not hide the others (Istio). */
function catchAllLast(routes: readonly Route[]): readonly Route[] {
  return [...routes.filter((route) => !takesAll(route)), ...routes.filter(takesAll)];
}

function takesAll({ matches }: Route): boolean {
  return matches.length === 0 || matches.some((match) => {
    const { path, method, scheme, authority, headers, withoutHeaders, queryParams } = match;
    const others = headers.length + withoutHeaders.length + queryParams.length;
    if (others > 0 || method !== null || scheme !== null || authority !== null) return false;
    if (path === null || path.type === "present") return true;
    if (path.type === "exact") return false;
    return path.value === (path.type === "prefix" ? "/" : ".*");
  });
}

/** The routes for bytes of all VirtualServices that have a host of the server. */
function bytes(rules: GatewayRules, scope: GatewayScope, placed: Placed): BuiltTcpRoutes {
  const { gateway, server } = placed;
  const own = routeScope(scope, placed);
  const bound = new Set(rules.hostsOf(gateway, server, scope.namespace).flatMap((host) => host.rules));
  const rulesOf = serverSpeech(server) === "passthrough" ? tlsRulesOf : tcpRulesOf;
  return inOrder(Array.from(bound, (rule) => rulesOf(rule, own)));
}

function told(
  { routes, skipped }: BuiltTcpRoutes,
  { tellsSkipped }: GatewayScope,
): Pick<GatewayChain, "routes" | "skipped"> {
  return tellsSkipped && skipped.length > 0 ? { routes, skipped } : { routes };
}

function routeScope(scope: GatewayScope, { gateway, server }: Placed): RouteScope {
  const { number: port } = server.port;
  return {
    ...scope,
    port,
    gateway: `${gateway.namespace}/${gateway.name}`,
    inferredPort: (host) => scope.inferredPort(host, port),
  };
}
