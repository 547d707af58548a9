/** What a policy says about a cluster, in the words of snapshots: balancer, limits, ejection, localities, TLS. */
import type { ResourceSet } from "../config/resource.ts";
import type { ConnectionPool, Http2KeepAlive, TcpKeepalive } from "../config/schema/connection_pool.ts";
import type { HashKey as WrittenKey, LoadBalancer } from "../config/schema/load_balancer.ts";
import type { LocalityLbSetting } from "../config/schema/locality.ts";
import type { MeshConfigSpec } from "../config/schema/mesh_config.ts";
import { UINT32_MAX } from "../config/schema/numbers.ts";
import type { OutlierDetection as WrittenOutlier } from "../config/schema/outlier_detection.ts";
import type { RetryBudget, Tunnel } from "../config/schema/traffic_policy.ts";
import type { Cluster, ClusterLimits, HashKey, LocalitySettings } from "../model/cluster.ts";
import type { HttpProtocol } from "../model/port_protocol.ts";
import type { OutlierDetection } from "../model/outlier_detection.ts";
import type { MeshService, ServicePort } from "./services.ts";
import type { EffectivePolicy } from "./traffic_policies.ts";
import { upstreamTls } from "./upstream_security.ts";

/** Everything of a cluster that is not its name. */
export type ClusterSettings = Omit<Cluster, "kind" | "name" | "service" | "subset" | "port">;

/** What every proxy does anyway with connections that nobody uses. */
const IDLE_TIMEOUT_MS = 3_600_000;

export function clusterSettings(
  policy: EffectivePolicy,
  mesh: MeshConfigSpec,
  service: MeshService,
  port: ServicePort,
): ClusterSettings {
  const { loadBalancer, connectionPool } = policy;
  // A wildcard's one endpoint stands for all hosts that calls name, which are not to be ejected for one of them.
  const outlierDetection = service.resolution === "AUTHORITY" ? null : policy.outlierDetection;
  const protocol = protocolOf(connectionPool, port);
  const limits = limitsOf(connectionPool, mesh.tcpKeepalive, policy.retryBudget, port);
  const locality = localityOf(mesh, loadBalancer, outlierDetection !== null);
  const tls = upstreamTls(policy.tls, service);
  const warmup = loadBalancer?.warmup ?? null;
  return {
    ...balancing(loadBalancer),
    connectTimeoutMs: connectionPool?.tcp.connectTimeout ?? mesh.connectTimeout,
    protocol,
    ...(followsClient(connectionPool, port) ? { followsClient: true } : {}),
    ...(warmup === null ? {} : {
      warmup: {
        durationMs: warmup.duration,
        minimumPercent: warmup.minimumPercent,
        aggression: warmup.aggression,
      },
    }),
    ...(locality === null ? {} : { locality }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(outlierDetection === null ? {} : { outlier: outlierOf(outlierDetection) }),
    ...(tls === null ? {} : { tls }),
    ...(policy.tls?.mode === "ISTIO_MUTUAL" && policy.tls.sni !== null
      ? { meshServerName: policy.tls.sni }
      : {}),
    ...(policy.tunnel === null ? {} : { tunnel: tunnelOf(policy.tunnel) }),
    ...(policy.proxyProtocol === null ? {} : { proxyProtocol: policy.proxyProtocol.version }),
    ...(service.resolution === null ? {} : { resolution: service.resolution }),
    ...(service.toOriginalDestination ? { toOriginalDestination: true } : {}),
  };
}

function tunnelOf({ protocol, targetHost, targetPort }: Tunnel): NonNullable<Cluster["tunnel"]> {
  const host = targetHost.includes(":") ? `[${targetHost}]` : targetHost;
  return { method: protocol, authority: `${host}:${targetPort}` };
}

/** The labels of endpoints that a cluster compares. */
export function comparedLabels({ locality }: Pick<ClusterSettings, "locality">): readonly string[] {
  const keys = (locality?.failoverPriority ?? []).map((entry) => entry.split("=")[0] as string);
  return [...new Set(keys)].sort();
}

/** The labels of endpoints that some cluster of a configuration may compare, sorted. */
export function comparedByAny({ destinationRules }: ResourceSet, mesh: MeshConfigSpec): readonly string[] {
  const policies = destinationRules.flatMap(({ spec }) => [
    spec.trafficPolicy,
    ...spec.subsets.map((subset) => subset.trafficPolicy),
  ]).filter((policy) => policy !== null);
  const balancers = policies.flatMap((policy) => [policy, ...policy.portLevelSettings])
    .map(({ loadBalancer }) => loadBalancer?.localityLbSetting ?? null);
  return [
    ...new Set([mesh.localityLbSetting, ...balancers].flatMap((locality) => comparedLabels({ locality }))),
  ]
    .sort();
}

function balancing(loadBalancer: LoadBalancer | null): Pick<Cluster, "balancer" | "hash"> {
  if (loadBalancer === null) return { balancer: "LEAST_REQUEST" };
  const { consistentHash, simple } = loadBalancer;
  if (consistentHash === null) return { balancer: simple };
  const { key, algorithm } = consistentHash;
  const keys = [hashKey(key)];
  return algorithm.type === "maglev"
    ? { balancer: "MAGLEV", hash: { keys, tableSize: algorithm.tableSize } }
    : { balancer: "RING_HASH", hash: { keys, minimumRingSize: algorithm.minimumRingSize } };
}

function hashKey(key: WrittenKey): HashKey {
  switch (key.type) {
    case "header":
      return { type: "header", name: key.name.toLowerCase() };
    case "cookie":
      return {
        type: "cookie",
        name: key.name,
        path: key.path === "" ? null : key.path,
        ttlMs: key.ttl,
        attributes: key.attributes.map(({ name, value }) => [name, value] as const),
      };
    case "sourceIp":
      return { type: "sourceIp" };
    case "queryParameter":
      return { type: "query", name: key.name };
  }
}

/** Istio's "upgrade" is HTTP/2 from the first byte on. */
function protocolOf(pool: ConnectionPool | null, port: ServicePort): HttpProtocol {
  return pool?.http.h2UpgradePolicy === "UPGRADE" && port.protocol === "http" ? "http2" : port.http;
}

/** Istio's `useClientProtocol`; bytes have none. */
export function followsClient(
  pool: ConnectionPool | null,
  { protocol }: Pick<ServicePort, "protocol">,
): boolean {
  return protocol === "http" && pool?.http.useClientProtocol === true;
}

/** Only what really limits: a cluster with limits has connections of its own. */
export function limitsOf(
  pool: ConnectionPool | null,
  meshKeepalive: TcpKeepalive | null,
  budget: RetryBudget | null,
  port: Pick<ServicePort, "protocol">,
): ClusterLimits {
  const keepalive = pool?.tcp.tcpKeepalive ?? meshKeepalive;
  const idleTimeoutMs = port.protocol === "http" ? pool?.http.idleTimeout : pool?.tcp.idleTimeout;
  const http2KeepAlive = pool?.http.http2KeepAlive;
  const written: { -readonly [Name in keyof ClusterLimits]: ClusterLimits[Name] | null | undefined } = {
    maxConnections: finite(pool?.tcp.maxConnections),
    maxPendingRequests: finite(pool?.http.http1MaxPendingRequests),
    maxRequests: finite(pool?.http.http2MaxRequests),
    maxRequestsPerConnection: pool?.http.maxRequestsPerConnection || null,
    maxRetries: finite(pool?.http.maxRetries),
    maxConcurrentStreams: finite(pool?.http.maxConcurrentStreams),
    idleTimeoutMs: idleTimeoutMs === IDLE_TIMEOUT_MS ? null : idleTimeoutMs,
    maxConnectionDurationMs: pool?.tcp.maxConnectionDuration,
    retryBudget: budget && { percent: budget.percent, minConcurrency: budget.minRetryConcurrency },
    tcpKeepalive: keepalive && keepaliveOf(keepalive),
    http2KeepAlive: http2KeepAlive && pingsOf(http2KeepAlive),
  };
  return Object.fromEntries(
    Object.entries(written).filter(([, value]) => value !== null && value !== undefined),
  );
}

function keepaliveOf({ probes, time, interval }: TcpKeepalive): NonNullable<ClusterLimits["tcpKeepalive"]> {
  return {
    ...(probes === null ? {} : { probes }),
    ...(time === null ? {} : { timeMs: time }),
    ...(interval === null ? {} : { intervalMs: interval }),
  };
}

function pingsOf({ interval, timeout }: Http2KeepAlive): NonNullable<ClusterLimits["http2KeepAlive"]> {
  return {
    ...(interval === null ? {} : { intervalMs: interval }),
    ...(timeout === null ? {} : { timeoutMs: timeout }),
  };
}

function finite(limit: number | undefined): number | null {
  return limit === undefined || limit >= UINT32_MAX ? null : limit;
}

/**
 * A rule's own setting replaces the mesh's; `enabled` of either decides, the rule's first. Shares of localities hold
 * always, failing over needs somebody who finds out that endpoints fail.
 */
function localityOf(
  mesh: MeshConfigSpec,
  loadBalancer: LoadBalancer | null,
  detects: boolean,
): LocalitySettings | null {
  const own = loadBalancer?.localityLbSetting ?? null;
  const enabled = own?.enabled ?? mesh.localityLbSetting?.enabled ?? true;
  if (!enabled) return null;
  const setting: Omit<LocalityLbSetting, "enabled"> = own ?? mesh.localityLbSetting ?? NO_LOCALITY;
  const { distribute, failover, failoverPriority } = setting;
  return distribute.length === 0 && !detects ? null : { distribute, failover, failoverPriority };
}

const NO_LOCALITY = { distribute: [], failover: [], failoverPriority: [] };

function outlierOf(outlier: WrittenOutlier): OutlierDetection {
  return {
    consecutive5xx: outlier.consecutive5xxErrors,
    consecutiveGatewayErrors: outlier.consecutiveGatewayErrors ?? 0,
    intervalMs: outlier.interval,
    baseEjectionMs: outlier.baseEjectionTime,
    maxEjectionPercent: outlier.maxEjectionPercent,
    minHealthPercent: outlier.minHealthPercent,
    splitLocalOrigin: outlier.splitExternalLocalOriginErrors,
    consecutiveLocalOriginFailures: outlier.consecutiveLocalOriginFailures,
    httpErrorCodes: outlier.outlierDetectionHttpErrorCodes,
  };
}
