/** Clusters, which are groups of equal endpoints, and their endpoints: what a proxy is told of whom it may call. */
import type { Labels } from "./labels.ts";
import type { ClusterRule } from "./cluster_rule.ts";
import type { OutlierDetection } from "./outlier_detection.ts";
import type { HttpProtocol } from "./port_protocol.ts";
import type { UpstreamTls } from "./upstream_tls.ts";
import type { ServiceInfo, WorkloadInfo } from "./call_info.ts";

/** PASSTHROUGH sends a captured connection to where it was going. RING_HASH and MAGLEV choose by `Cluster.hash`. */
export type BalancerPolicy =
  | "LEAST_REQUEST"
  | "ROUND_ROBIN"
  | "RANDOM"
  | "PASSTHROUGH"
  | "RING_HASH"
  | "MAGLEV";

/** A group of equal endpoints. `name` is Envoy's: `outbound|PORT|SUBSET|HOST`. */
export interface Cluster {
  readonly kind: "cluster";
  readonly name: string;
  readonly service: ServiceInfo;
  readonly subset: string | null;
  readonly port: number;
  readonly balancer: BalancerPolicy;
  readonly connectTimeoutMs: number;
  /** What endpoints without a mesh listener speak. Older snapshots do not say. @default "http1" */
  readonly protocol?: HttpProtocol;
  /** Endpoints without a mesh listener are spoken to as the client speaks (`useClientProtocol`). @default false */
  readonly followsClient?: boolean;
  /** For RING_HASH and MAGLEV. */
  readonly hash?: HashSettings;
  /** How an endpoint that is new, or healthy again, gets its share little by little. @default none */
  readonly warmup?: Warmup;
  /** Which endpoints come first, by where they stand. @default null */
  readonly locality?: LocalitySettings | null;
  /** Limits of the connection pool; a cluster that has any has connections of its own. @default none */
  readonly limits?: ClusterLimits;
  /** When an endpoint is taken out because it fails. @default never */
  readonly outlier?: OutlierDetection;
  /** What was captured goes on to where it was going (ServiceEntry `resolution: NONE`). @default false */
  readonly toOriginalDestination?: boolean;
  /** How endpoints without a mesh listener are spoken to. @default in plain text */
  readonly tls?: UpstreamTls;
  /** The name that endpoints with mTLS of their own are asked for (SNI). @default none */
  readonly meshServerName?: string;
  /** Connections for bytes to endpoints without a mesh listener go through the HTTP proxies that those are. @default none */
  readonly tunnel?: { readonly method: "CONNECT" | "POST"; readonly authority: string };
  /** Connections to endpoints without a mesh listener begin with PROXY protocol of this version. @default without */
  readonly proxyProtocol?: ProxyProtocolVersion;
  /** What becomes of endpoints whose address is a name. @default "STRICT_DNS" */
  readonly resolution?: Resolution;
  /** The DestinationRules that say it; for `explain` alone. */
  readonly rules?: readonly ClusterRule[];
}

/**
 * STRICT_DNS: every address of the name is an endpoint, as long as DNS says so. LOGICAL_DNS: the name is one endpoint, at
 * its first address. ON_DEMAND: the name is looked up for each connection. AUTHORITY: it only stands for where the
 * request itself wants to go, a host that the request names, and the endpoint's port.
 */
export type Resolution = "STRICT_DNS" | "LOGICAL_DNS" | "ON_DEMAND" | "AUTHORITY";

/** The line of text, or the binary form. */
export type ProxyProtocolVersion = "V1" | "V2";

export interface HashSettings {
  /** What is hashed; those that a request has are taken together, and with none of them chance decides. */
  readonly keys: readonly HashKey[];
  /** Points on the ring, at least. @default 1024 */
  readonly minimumRingSize?: number;
  /** Slots of the Maglev table: a prime below 5,000,011. @default 65537 */
  readonly tableSize?: number;
}

export type HashKey =
  /** `name` in lower case. */
  | { readonly type: "header"; readonly name: string }
  | {
    readonly type: "cookie";
    readonly name: string;
    readonly path: string | null;
    /** Life of a cookie that the proxy hands out to who has none; 0: the browser's session; null: it hands out none. */
    readonly ttlMs: number | null;
    /** Further attributes of that cookie. An empty value: the name alone. */
    readonly attributes: readonly (readonly [name: string, value: string])[];
  }
  | { readonly type: "sourceIp" }
  | { readonly type: "query"; readonly name: string };

/** Envoy's slow start, for ROUND_ROBIN and LEAST_REQUEST. */
export interface Warmup {
  readonly durationMs: number;
  /** Of its weight, with which an endpoint begins. Istio's default is 10. */
  readonly minimumPercent: number;
  /** 1: the share grows in proportion to time; above: faster at first. */
  readonly aggression: number;
}

/**
 * DestinationRule `localityLbSetting`. `distribute` excludes the others, which need `Cluster.outlier`, since traffic
 * leaves nobody who is never found unhealthy.
 */
export interface LocalitySettings {
  /** `from` and the keys of `to` are localities, with `*` for any; the first whose `from` is the proxy's own counts. */
  readonly distribute: readonly { readonly from: string; readonly to: Readonly<Record<string, number>> }[];
  /** Regions. */
  readonly failover: readonly { readonly from: string; readonly to: string }[];
  /** `LABEL`, or `LABEL=VALUE` for a value that is not the proxy's own; the first ones count most. */
  readonly failoverPriority: readonly string[];
}

/** DestinationRule `connectionPool`, Envoy's circuit breakers. What is not given is not limited. */
export interface ClusterLimits {
  /** To all endpoints together; each may have one. */
  readonly maxConnections?: number;
  /** Requests that wait for a connection. */
  readonly maxPendingRequests?: number;
  /** Requests that have a connection. */
  readonly maxRequests?: number;
  readonly maxRequestsPerConnection?: number;
  /** Retries at once. */
  readonly maxRetries?: number;
  /** Retries at once as a share of the requests, instead of `maxRetries`. */
  readonly retryBudget?: { readonly percent: number; readonly minConcurrency: number };
  readonly idleTimeoutMs?: number;
  readonly maxConnectionDurationMs?: number;
  /** HTTP/2. */
  readonly maxConcurrentStreams?: number;
  readonly tcpKeepalive?: {
    readonly probes?: number;
    readonly timeMs?: number;
    readonly intervalMs?: number;
  };
  /** Idle connections are asked too. What is not given is as for all. */
  readonly http2KeepAlive?: { readonly intervalMs?: number; readonly timeoutMs?: number };
}

/** The members of a cluster; `name` is the cluster's. Separate, so that a new endpoint is a small push. */
export interface EndpointSet {
  readonly kind: "endpoints";
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
}

export interface Endpoint {
  readonly address: string;
  /** The workload's own port. */
  readonly port: number;
  readonly weight: number;
  readonly workload: WorkloadInfo;
  /** Port of the mesh listener in front of the workload, spoken to in mTLS only; null: plain, straight to `port`. */
  readonly meshPort: number | null;
  /** That port is the workload's own: the mTLS is with the workload, as with a gateway, not with a proxy before it. */
  readonly direct?: true;
  /** `REGION/ZONE/SUBZONE`; what is missing from the end is unknown. @default "" */
  readonly locality?: string;
  /** As far as the cluster's `failoverPriority` names them. @default {} */
  readonly labels?: Labels;
  /** Its own health probe failed: no balancer gives it. @default healthy */
  readonly health?: "unhealthy";
}

/** Whether a proxy of the mesh takes the calls of an endpoint, in HTTP/2 and with what proxies tell each other. */
export function isMeshHop({ meshPort, direct }: Endpoint): boolean {
  return meshPort !== null && direct !== true;
}

export function clusterName(port: number, subset: string | null, host: string): string {
  return `outbound|${port}|${subset ?? ""}|${host}`;
}

/** The host of a cluster's name. */
export function clusterHost(name: string): string {
  return name.slice(name.lastIndexOf("|") + 1);
}
