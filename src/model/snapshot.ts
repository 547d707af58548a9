/**
 * What one proxy is told: plain immutable data, a set of resources that each have a name and a version.
 * Pilot writes it, discovery carries it, the proxy compiles it. Nothing in it is an Istio resource.
 */
import type { WorkloadKey } from "./workload.ts";

export type Resource = ProxySettings | VirtualHost | Cluster | EndpointSet;

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
  readonly workload: WorkloadInfo;
  /** The workload's own address: where the receiving proxy delivers when nothing else is said. */
  readonly address: string;
  /** ALLOW_ANY passes unknown hosts through; REGISTRY_ONLY answers 502 (MeshConfig.outboundTrafficPolicy). */
  readonly outboundPolicy: "ALLOW_ANY" | "REGISTRY_ONLY";
  /** The services that this workload stands behind, for the labels of inbound metrics. */
  readonly inbound: readonly InboundPort[];
}

/** What is spoken to a workload that has no proxy before it: HTTP/1.1, or HTTP/2 without TLS and from the first byte on. */
export type HttpProtocol = "http1" | "http2";

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
}

export interface ServiceInfo {
  /** Fully qualified, lower case: `recommendation.tutorial.svc.cluster.local`. */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

/** The routes of one service port, found by authority. `name` is `HOST:PORT`. */
export interface VirtualHost {
  readonly kind: "virtualHost";
  readonly name: string;
  readonly service: ServiceInfo;
  readonly port: number;
  /**
   * Authorities, lower case, that lead here: `a`, `a:80`, `a.ns`, `a.ns.svc.cluster.local:80`, `*.example.com`.
   * Unique across the virtual hosts of a snapshot.
   */
  readonly domains: readonly string[];
  /** First match wins. */
  readonly routes: readonly Route[];
}

export interface Route {
  readonly name: string | null;
  /** Where the rule was written; null for the default route of a service without a VirtualService. */
  readonly origin: RouteOrigin | null;
  /** Alternatives; empty matches everything. */
  readonly matches: readonly RouteMatch[];
  readonly action: RouteAction;
}

export interface RouteOrigin {
  /** `NAMESPACE/NAME`. */
  readonly virtualService: string;
  /** Counts from 0 in `http[]`. */
  readonly rule: number;
  /** Relative to the configuration directory. */
  readonly file: string;
  readonly line: number;
}

/** All given conditions must hold (VirtualService `HTTPMatchRequest`). */
export interface RouteMatch {
  readonly name: string | null;
  readonly path: StringMatch | null;
  /** Applies to `exact` and `prefix` of the path only. */
  readonly ignorePathCase: boolean;
  readonly method: StringMatch | null;
  readonly scheme: StringMatch | null;
  readonly authority: StringMatch | null;
  readonly headers: readonly NamedMatch[];
  /** Inverted; a missing header counts as the empty string, except for `present`. */
  readonly withoutHeaders: readonly NamedMatch[];
  readonly queryParams: readonly NamedMatch[];
}

export interface NamedMatch {
  /** Lower case for headers, as written for query parameters. */
  readonly name: string;
  readonly match: StringMatch;
}

/** `regex` is RE2 and matches the whole string; `present` asks only that the thing is there. */
export type StringMatch =
  | { readonly type: "exact" | "prefix" | "regex"; readonly value: string }
  | { readonly type: "present" };

export type RouteAction = ForwardAction;

export interface ForwardAction {
  readonly type: "forward";
  /** Never empty; weights are at least 1, except that a single destination may say 0 (its weight is ignored). */
  readonly destinations: readonly WeightedCluster[];
}

export interface WeightedCluster {
  /** Name of a Cluster; one that the snapshot does not have is answered 503 NC. */
  readonly cluster: string;
  readonly weight: number;
}

export type BalancerPolicy = "LEAST_REQUEST" | "ROUND_ROBIN" | "RANDOM";

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
}

export function clusterName(port: number, subset: string | null, host: string): string {
  return `outbound|${port}|${subset ?? ""}|${host}`;
}
