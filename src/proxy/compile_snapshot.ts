/** Compiles a snapshot: hosts into maps, conditions, balancers, counters, with all that did not change taken over. */
import type { Clock } from "../lib/clock.ts";
import type { Random } from "../lib/prng.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import type { GatewayListener } from "../model/gateway_listener.ts";
import type { JwtRule } from "../model/jwt_rule.ts";
import { type Cluster, clusterName, type EndpointSet } from "../model/cluster.ts";
import type { ServiceInfo, WorkloadInfo } from "../model/call_info.ts";
import {
  type Listener,
  type ProxySettings,
  type ResourceKey,
  resourceKey,
  type Snapshot,
  type VirtualHost,
} from "../model/snapshot.ts";
import { type Edge, type EdgeRegistry, UNKNOWN_WORKLOAD } from "../telemetry/edge_metrics.ts";
import type { PolicyCounts } from "../telemetry/policy_counts.ts";
import { ClosingPorts } from "./closing_ports.ts";
import type { CompiledCluster } from "./cluster/cluster.ts";
import { ClusterCompiler, type EdgeTo } from "./cluster/cluster_compiler.ts";
import type { Host } from "./cluster/host.ts";
import type { HostTable } from "./cluster/host_table.ts";
import { poolName } from "./cluster/pool_limits.ts";
import type { NameAddresses } from "./cluster/dns/resolved_endpoints.ts";
import { Authorizer } from "./ext_authz/authorizer.ts";
import { describePeer } from "./mesh_headers.ts";
import type { KeySource } from "./jwt/key_source.ts";
import type { TokenCheck } from "./jwt/token_check.ts";
import { GatewayTable } from "./route/gateway_table.ts";
import { PolicyTable } from "./policy/policy_table.ts";
import { ListenerTable, type Member } from "./route/listener_table.ts";
import { RouteTable } from "./route/route_table.ts";
import type { CompiledSnapshot, PinnedEndpoint } from "./compiled_snapshot.ts";
import { type Deliver, inboundServices } from "./inbound_service.ts";

const UNROUTED: ServiceInfo = { host: "unknown", name: "unknown", namespace: "unknown" };
const PASSTHROUGH = passthrough("PassthroughCluster");
const INBOUND_PASSTHROUGH = passthrough("InboundPassthroughCluster");

export interface TokenKeys {
  /** Of a rule that brings none along. */
  of(rule: JwtRule): KeySource;
  readonly verifications: { count: number };
}

export interface CompileContext {
  readonly hosts: HostTable;
  readonly edges: EdgeRegistry;
  readonly decisions: PolicyCounts;
  readonly random: Random;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** What serves now, and is replaced by what is compiled: clusters that did not change are taken over whole. */
  readonly previous: CompiledSnapshot | null;
  /** Address on which the own workload listens. */
  readonly deliverTo: string;
  /** Where the keys of issuers come from, and what counts the tokens that are being verified. @default nobody is asked */
  readonly tokenKeys?: TokenKeys;
  /** Of endpoints that are names. @default names are looked up by whoever connects */
  readonly names?: NameAddresses;
}

/** Throws when a resource cannot be compiled; nothing is changed then but hosts that were made and are not used. */
export function compileSnapshot(snapshot: Snapshot, context: CompileContext): CompiledSnapshot {
  const { hosts, random, clock, wheel, edges, previous, deliverTo, names } = context;
  const sorted = sortResources(snapshot);
  const { settings, endpointSets } = sorted;
  const edgeTo = edgesFrom(edges, settings.workload);
  const place = { locality: settings.locality ?? "", labels: settings.labels ?? {} };
  const compiler = new ClusterCompiler({
    ...{ random, clock, wheel, hosts, place, endpointSets, edgeTo },
    ...(names === undefined ? {} : { names }),
  });
  const unchanged = (key: ResourceKey) => previous?.snapshot.get(key)?.version === snapshot.get(key)?.version;
  const sameSelf = sameCaller(settings, previous?.settings);
  const compile = (cluster: Cluster): CompiledCluster => {
    const old = previous?.clusters.get(cluster.name) ?? null;
    const same = sameSelf && unchanged(resourceKey(cluster)) && unchanged(`endpoints/${cluster.name}`);
    return old !== null && same ? old : compiler.compile(cluster, old);
  };
  const clusters = new Map(sorted.clusters.map((cluster) => [cluster.name, compile(cluster)]));
  const callOf = edgesOfCalls(edges, settings.workload);
  const deliver: Deliver = (inbound, protocol, limits) => {
    const address = inbound.deliverTo ?? { hostname: deliverTo, port: inbound.port };
    const pool = limits === null ? {} : { pool: poolName(`inbound|${inbound.port}||`, inbound.limits ?? {}) };
    return hosts.get({ ...address, spiffeId: null, protocol, ...pool }, limits);
  };
  const ports = { deliver, ownLimits: hosts.ownLimits, previous: previous?.inbound ?? new Map() };
  const inbound = inboundServices(settings, callOf, ports);
  const closing = new ClosingPorts(inbound, ports.previous, previous?.closing ?? null, clock.monotonic());
  const old = unchanged(resourceKey(settings)) ? previous : null;
  const policies = old?.policies ?? policyTable(settings, context.decisions);
  const tokens = old?.tokens ?? tokenCheck(settings, context);
  const compiled = assemble({ snapshot, clusters, inbound, closing, policies, tokens }, sorted, compiler, {
    edgeTo,
    callOf,
  });
  replaceClusters(previous?.clusters ?? new Map(), clusters);
  for (const { port, limits } of settings.inbound) inbound.get(port)?.limits?.configure(limits ?? {});
  return compiled;
}

type Parts = Pick<CompiledSnapshot, "snapshot" | "clusters" | "inbound" | "closing" | "policies" | "tokens">;

interface Counters {
  readonly edgeTo: EdgeTo;
  /** Of calls to the own workload from outside the mesh. */
  readonly callOf: (service: ServiceInfo) => Edge;
}

/** By itself, so that what it hands out holds on to nothing of the snapshot before. */
function assemble(
  parts: Parts,
  { settings, virtualHosts, listeners, gatewayListeners }: SortedResources,
  compiler: ClusterCompiler,
  { edgeTo, callOf }: Counters,
): CompiledSnapshot {
  const { clusters, inbound, closing } = parts;
  const find = (name: string) => clusters.get(name) ?? null;
  const hosts = new Set<Host>();
  const named = [...clusters.values()].filter(({ hasNames }) => hasNames);
  const unserved = new Map<ServiceInfo, Edge>();
  const tableOf = () => new ListenerTable(listeners, { find, members: (one) => membersOf(one, find) });
  const collectHosts = () => {
    hosts.clear();
    for (const one of [...inbound.values(), ...closing.services()]) {
      hosts.add(one.host).add(one.http2Host).add(one.tunnelHost);
    }
    for (const { endpoints } of clusters.values()) {
      for (const { host, http2Host } of endpoints) hosts.add(host).add(http2Host ?? host);
    }
  };
  collectHosts();
  const tables = new Map(
    [...Map.groupBy(virtualHosts, ({ table = "" }) => table)]
      .map(([name, hosts]) => [name, new RouteTable(hosts, find)]),
  );
  const compiled = {
    ...parts,
    settings,
    isStrict: (port: number) => isStrict(settings, port),
    authorizer: settings.extAuthz === undefined
      ? null
      : new Authorizer(settings.extAuthz, find(settings.extAuthz.cluster), describePeer(settings.workload)),
    hosts,
    routes: tables.get("") ?? new RouteTable([], find),
    peer: describePeer(settings.workload),
    http2Peer: describePeer(settings.workload, true),
    gateway: new Map(gatewayListeners.map((one) => [one.name, new GatewayTable(one, find)])),
    tables,
    listeners: tableOf(),
    inboundPassthrough: callOf(INBOUND_PASSTHROUGH),
    unserved: (service: ServiceInfo) => {
      let edge = unserved.get(service);
      if (edge === undefined) unserved.set(service, edge = edgeTo(UNKNOWN_WORKLOAD, service, false));
      return edge;
    },
    unrouted: edgeTo(UNKNOWN_WORKLOAD, UNROUTED, false),
    passthrough: edgeTo(UNKNOWN_WORKLOAD, PASSTHROUGH, false),
    onNameChange: (name: string) => {
      if (named.filter((cluster) => compiler.move(cluster, name)).length === 0) return false;
      collectHosts();
      compiled.listeners = tableOf();
      return true;
    },
  };
  return compiled;
}

function policyTable({ policies = [] }: ProxySettings, decisions: PolicyCounts): PolicyTable | null {
  return policies.length === 0 ? null : new PolicyTable(policies, decisions);
}

function tokenCheck(
  { jwtRules = [] }: ProxySettings,
  { clock, tokenKeys }: CompileContext,
): TokenCheck | null {
  if (jwtRules.length === 0) return null;
  // Here, since most proxies have no rule about tokens, and none should have in its memory what verifies them.
  const { inlineKeys, NO_KEYS } = require("./jwt/key_source.ts") as typeof import("./jwt/key_source.ts");
  const { TokenCheck } = require("./jwt/token_check.ts") as typeof import("./jwt/token_check.ts");
  const { of = () => NO_KEYS, verifications = { count: 0 } } = tokenKeys ?? {};
  const keysOf = (rule: JwtRule) => rule.keys.type === "inline" ? inlineKeys(rule.keys.jwks) : of(rule);
  return new TokenCheck(jwtRules, keysOf, { clock, verifications });
}

function isStrict({ mtls }: ProxySettings, port: number): boolean {
  return mtls !== undefined && (mtls.mode === "strict") !== mtls.exceptPorts.includes(port);
}

/** Whether clusters see the same proxy: what is said of calls to it does not matter to them. */
function sameCaller(settings: ProxySettings, previous: ProxySettings | undefined): boolean {
  const none = undefined;
  const inbound = { policies: none, extAuthz: none, jwtRules: none, mtls: none, inbound: none };
  // What is undefined is not in the text, as if it had never been said.
  const outbound = (settings: ProxySettings) => JSON.stringify({ ...settings, ...inbound });
  return previous !== undefined && outbound(settings) === outbound(previous);
}

type SortedResources = ReturnType<typeof sortResources>;

function sortResources(snapshot: Snapshot) {
  const listeners: Listener[] = [];
  const gatewayListeners: GatewayListener[] = [];
  const virtualHosts: VirtualHost[] = [];
  const clusters: Cluster[] = [];
  const endpointSets = new Map<string, EndpointSet>();
  let settings: ProxySettings | undefined;
  for (const { body } of snapshot.values()) {
    if (body.kind === "virtualHost") virtualHosts.push(body);
    else if (body.kind === "cluster") clusters.push(body);
    else if (body.kind === "endpoints") endpointSets.set(body.name, body);
    else if (body.kind === "listener") listeners.push(body);
    else if (body.kind === "gatewayListener") gatewayListeners.push(body);
    else if (body.kind === "proxy") settings = body;
    // A kind that is not known yet is a newer control plane's; without it all works as it did.
  }
  if (settings === undefined) throw new Error("The snapshot has no proxy settings");
  return { settings, listeners, gatewayListeners, virtualHosts, clusters, endpointSets };
}

function edgesOfCalls(edges: EdgeRegistry, destination: WorkloadInfo): (service: ServiceInfo) => Edge {
  return (service) =>
    edges.edge({ reporter: "destination", source: UNKNOWN_WORKLOAD, destination, service, mtls: false });
}

function edgesFrom(edges: EdgeRegistry, source: WorkloadInfo): EdgeTo {
  return (destination, service, mtls) =>
    edges.edge({ reporter: "source", source, destination, service, mtls });
}

/** Nothing can fail any more: those that are new take over, those that are gone let go of their timers. */
function replaceClusters(
  old: ReadonlyMap<string, CompiledCluster>,
  next: ReadonlyMap<string, CompiledCluster>,
): void {
  for (const [name, cluster] of old) if (next.get(name) !== cluster) cluster.stop();
  for (const [name, cluster] of next) if (old.get(name) !== cluster) cluster.start();
}

/** The endpoints of a service port, whatever its routes say. */
function* membersOf(
  { port, service }: Listener,
  find: (cluster: string) => CompiledCluster | null,
): Generator<Member<PinnedEndpoint>> {
  const cluster = find(clusterName(port, null, service.host));
  for (const endpoint of cluster?.endpoints ?? []) {
    const { address, port } = endpoint.endpoint;
    yield { address, port, endpoint: { cluster: cluster as CompiledCluster, endpoint } };
  }
}

function passthrough(name: string): ServiceInfo {
  return { ...UNROUTED, host: name, name };
}
