/**
 * What one proxy is told: plain immutable data, a set of resources that each have a name and a version.
 * Pilot writes it, discovery carries it, the proxy compiles it. Nothing in it is an Istio resource.
 */
import type { Labels } from "./labels.ts";
import type { ClusterRule } from "./cluster_rule.ts";
import type { ExtAuthz } from "./ext_authz.ts";
import type { GatewayListener, GatewayTls } from "./gateway_listener.ts";
import type { GatewayTopology } from "./gateway_topology.ts";
import type { HealthProbe } from "./health_probe.ts";
import type { OutlierDetection } from "./outlier_detection.ts";
import type { JwtRule } from "./jwt_rule.ts";
import type { InboundMtls, Policy } from "./policy.ts";
import type { PathNormalization } from "./path_normalization.ts";
import type { SidecarDoor } from "./sidecar_door.ts";
import type { HttpProtocol, PortProtocol } from "./port_protocol.ts";
import type { Route, SkippedRule } from "./route.ts";
import type { TcpRoute } from "./tcp_route.ts";
import type { UpstreamTls } from "./upstream_tls.ts";
import type { WorkloadKey } from "./workload.ts";

export type Resource = ProxySettings | Listener | GatewayListener | VirtualHost | Cluster | EndpointSet;

/** `KIND/NAME`: the key of a resource in a snapshot and on the wire. */
export type ResourceKey = string;

export interface VersionedResource {
  /** Content hash: equal versions mean equal bodies, across restarts of the control plane too. */
  readonly version: string;
  readonly body: Resource;
}

export type Snapshot = ReadonlyMap<ResourceKey, VersionedResource>;

export function resourceKey(body: Resource): ResourceKey {
  return `${body.kind}/${body.name}`;
}

/** Facts about the proxy itself; exactly one per snapshot, named `self`. */
export interface ProxySettings {
  readonly kind: "proxy";
  readonly name: "self";
  readonly trustDomain: string;
  /** Other names of the same trust domain, which peers may have in their certificates. @default none */
  readonly trustDomainAliases?: readonly string[];
  readonly workload: WorkloadInfo;
  /** The workload's own address: where the receiving proxy delivers when nothing else is said. */
  readonly address: string;
  /** ALLOW_ANY passes unknown hosts through; REGISTRY_ONLY answers 502 (MeshConfig.outboundTrafficPolicy). */
  readonly outboundPolicy: "ALLOW_ANY" | "REGISTRY_ONLY";
  /** Until a captured connection that says nothing goes on as bytes; 0: never. @default the proxy's own limit */
  readonly detectionTimeoutMs?: number;
  /** The services that this workload stands behind, for the labels of inbound metrics. */
  readonly inbound: readonly InboundPort[];
  /** In the order in which they are named where several match. @default none */
  readonly policies?: readonly Policy[];
  /** How tokens of requests are verified, in the order in which they are tried. @default not at all */
  readonly jwtRules?: readonly JwtRule[];
  /** @default "MERGE_SLASHES" */
  readonly pathNormalization?: PathNormalization;
  /** What stands before the gateways. @default nothing: NO_PROXIES_BEFORE */
  readonly gatewayTopology?: GatewayTopology;
  /** Whom policies with the action CUSTOM ask. @default nobody */
  readonly extAuthz?: ExtAuthz;
  /** Plain text at ports that no service declares; those named are the exceptions. @default permissive everywhere */
  readonly mtls?: { readonly mode: InboundMtls; readonly exceptPorts: readonly number[] };
  /** How the workload's health is found out. @default none */
  readonly probe?: HealthProbe;
  /** Serial numbers, lower-case hex, of certificates that hold no more: of no peer is one accepted. @default none */
  readonly revoked?: readonly string[];
  /** Whose those were: what they opened with a certificate that has expired is on no list. @default none */
  readonly revokedIds?: readonly RevokedIdentity[];
  /** Whom to trust, and who signs. Older control planes say it with each certificate only. @default as before */
  readonly trust?: Trust;
  /** Where the proxy itself stands, as in `Endpoint.locality`. @default "" */
  readonly locality?: string;
  /** Own labels, as far as a cluster's `failoverPriority` names them. @default {} */
  readonly labels?: Labels;
  /** Ports of the sidecar's own that are dialled. @default none */
  readonly doors?: readonly SidecarDoor[];
}

export interface RevokedIdentity {
  readonly spiffeId: string;
  /** Whatever it opened with a certificate that ended by then is broken off: milliseconds since 1970. */
  readonly endedByMs: number;
}

/** What a rollover of the root changes for a proxy. */
export interface Trust {
  /** PEM: every root by which peers and the control plane are known. */
  readonly roots: string;
  /** Key by which the proxy's certificate is to be signed (authority key identifier, lower-case hex): else it is renewed. */
  readonly signer: string;
}

/** What metrics and the graph say about one end of a call. */
export interface WorkloadInfo {
  readonly key: WorkloadKey;
  readonly namespace: string;
  readonly name: string;
  /** SPIFFE ID, or empty for a workload outside the mesh. */
  readonly principal: string;
  readonly app: string;
  readonly version: string;
}

export interface InboundPort {
  /** The workload's own port, to which the receiving proxy connects. */
  readonly port: number;
  readonly service: ServiceInfo;
  /** What the workload speaks there. Older snapshots do not say. @default "http1" */
  readonly protocol?: HttpProtocol;
  /** The workload is spoken to as the client speaks (`useClientProtocol`). @default false */
  readonly followsClient?: boolean;
  /** What connections to it carry, where they come in plain text. Older snapshots do not say. @default "auto" */
  readonly declared?: PortProtocol;
  /** Where the workload takes them, if not at that port of its own address (Sidecar `defaultEndpoint`). */
  readonly deliverTo?: { readonly hostname: string; readonly port: number };
  /** Of the connections to the workload (Sidecar `inboundConnectionPool`, else `connectionPool`). @default none */
  readonly limits?: ClusterLimits;
  /** Until the workload has accepted. @default 10 s */
  readonly connectTimeoutMs?: number;
  /**
   * Whether calls from outside the mesh are let in, which come in plain text (PeerAuthentication).
   * @default "permissive"
   */
  readonly mtls?: InboundMtls;
  /** How those who call from outside the mesh have to speak TLS (Sidecar `tls` of `ingress`). @default not at all */
  readonly tls?: GatewayTls;
}

export interface ServiceInfo {
  /** Fully qualified, lower case: `recommendation.tutorial.svc.cluster.local`. */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

/**
 * A service port as a connection finds it that was on its way there and was captured: by its address, or by the server
 * name in TLS. `name` is `HOST:PORT`, as that of its virtual host.
 */
export interface Listener {
  readonly kind: "listener";
  readonly name: string;
  readonly service: ServiceInfo;
  readonly port: number;
  readonly protocol: PortProtocol;
  /** IP addresses, and networks as `10.0.0.0/8`, that stand for the service; each endpoint also has its own. */
  readonly addresses: readonly string[];
  /** Names, lower case, that TLS clients call it by; empty where the port carries HTTP. `*.example.com` too. */
  readonly serverNames: readonly string[];
  /** For connections of which no request is read: the first match wins. */
  readonly routes: readonly TcpRoute[];
  /** As in VirtualHost. */
  readonly skipped?: readonly SkippedRule[];
}

/** The routes of one service port, found by authority. `name` is `HOST:PORT`, at gateways behind `TABLE|`. */
export interface VirtualHost {
  readonly kind: "virtualHost";
  readonly name: string;
  /** At a gateway: the ports where it is found, by whatever port the authority has. @default none */
  readonly table?: string;
  /** Requests in plain text are sent to HTTPS (Gateway `httpsRedirect`). @default false */
  readonly requiresTls?: boolean;
  readonly service: ServiceInfo;
  readonly port: number;
  /**
   * Authorities, lower case, that lead here: `a`, `a:80`, `a.ns`, `a.ns.svc.cluster.local:80`, `*.example.com`.
   * Unique across the virtual hosts of a snapshot.
   */
  readonly domains: readonly string[];
  /** First match wins. */
  readonly routes: readonly Route[];
  /** Rules that were left out, since they are for other callers or ports; only where people ask why, never in a push. */
  readonly skipped?: readonly SkippedRule[];
}

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
  /** They are spoken to as the client speaks instead (`useClientProtocol`). @default false */
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
  /** `REGION/ZONE/SUBZONE`; what is missing from the end is unknown. @default "" */
  readonly locality?: string;
  /** As far as the cluster's `failoverPriority` names them. @default {} */
  readonly labels?: Labels;
  /** Its own health probe failed: no balancer gives it. @default healthy */
  readonly health?: "unhealthy";
}

export function clusterName(port: number, subset: string | null, host: string): string {
  return `outbound|${port}|${subset ?? ""}|${host}`;
}

/** The host of a cluster's name. */
export function clusterHost(name: string): string {
  return name.slice(name.lastIndexOf("|") + 1);
}
