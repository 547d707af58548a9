/**
 * What one proxy is told: plain immutable data, a set of resources that each have a name and a version.
 * Pilot writes it, discovery carries it, the proxy compiles it. Nothing in it is an Istio resource.
 */
import type { ServiceInfo, WorkloadInfo } from "./call_info.ts";
import type { Cluster, ClusterLimits, EndpointSet } from "./cluster.ts";
import type { ExtAuthz } from "./ext_authz.ts";
import type { GatewayListener, GatewayTls } from "./gateway_listener.ts";
import type { GatewayTopology } from "./gateway_topology.ts";
import type { HealthProbe } from "./health_probe.ts";
import type { JwtRule } from "./jwt_rule.ts";
import type { Labels } from "./labels.ts";
import type { PathNormalization } from "./path_normalization.ts";
import type { InboundMtls, Policy } from "./policy.ts";
import type { HttpProtocol, PortProtocol } from "./port_protocol.ts";
import type { Route, SkippedRule } from "./route.ts";
import type { SidecarDoor } from "./sidecar_door.ts";
import type { TcpRoute } from "./tcp_route.ts";

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
/** A service that a caller does not see. */
export interface HiddenService {
  /** Lower case; the first is its host. */
  readonly names: readonly string[];
  /** As a clause. */
  readonly why: string;
}

/** A VirtualService that has no say at a gateway. */
export interface UnboundRules {
  /** In full, or wildcards; lower case. */
  readonly hosts: readonly string[];
  readonly rules: readonly SkippedRule[];
}

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
  /** As `skipped` of a virtual host: only where people ask why, never in a push. */
  readonly hidden?: readonly HiddenService[];
  /** VirtualServices that have no say at this gateway; only where people ask why, never in a push. */
  readonly unbound?: readonly UnboundRules[];
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
  /** No certificate that another key has signed holds, not even where a connection stands with it. @default those go on */
  readonly only?: boolean;
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
