/** A snapshot, compiled: what the listeners read from one field and what is swapped by one assignment. */
import type { ServiceInfo } from "../model/call_info.ts";
import type { ProxySettings, Snapshot } from "../model/snapshot.ts";
import type { Edge } from "../telemetry/edge_metrics.ts";
import type { ClosingPorts } from "./closing_ports.ts";
import type { CompiledCluster } from "./cluster/cluster.ts";
import type { ClusterEndpoint } from "./cluster/cluster_endpoint.ts";
import type { InboundService } from "./inbound_service.ts";
import type { Host } from "./cluster/host.ts";
import type { Authorizer } from "./ext_authz/authorizer.ts";
import type { TokenCheck } from "./jwt/token_check.ts";
import type { GatewayTable } from "./route/gateway_table.ts";
import type { PolicyTable } from "./policy/policy_table.ts";
import type { ListenerTable } from "./route/listener_table.ts";
import type { RouteTable } from "./route/route_table.ts";

export interface CompiledSnapshot {
  /** What it was compiled from. */
  readonly snapshot: Snapshot;
  readonly settings: ProxySettings;
  readonly routes: RouteTable<CompiledCluster>;
  /** By name. */
  readonly clusters: ReadonlyMap<string, CompiledCluster>;
  /** The own description for the mesh hop. */
  readonly peer: string;
  /** As `peer`, for requests that came in HTTP/2. */
  readonly http2Peer: string;
  /** Of a gateway: its ports, by the names of their listeners. */
  readonly gateway: ReadonlyMap<string, GatewayTable<CompiledCluster>>;
  /** Of a gateway: virtual hosts by the tables that its listeners name. */
  readonly tables: ReadonlyMap<string, RouteTable<CompiledCluster>>;
  /** Where captured connections were going. */
  readonly listeners: ListenerTable<CompiledCluster, PinnedEndpoint>;
  /** What the own workload serves, by its port; nothing else is open to the mesh. */
  readonly inbound: ReadonlyMap<number, InboundService>;
  /** What it served until a moment ago. */
  readonly closing: ClosingPorts;
  /** Who may call the own workload; null: no policy selects it. */
  readonly policies: PolicyTable | null;
  /** Verifies the tokens of requests to the own workload, or to the gateway; null: none are looked for. */
  readonly tokens: TokenCheck | null;
  /** Whom they ask; null: nobody. */
  readonly authorizer: Authorizer | null;
  /** Whether a port that no service declares refuses plain text. */
  isStrict(port: number): boolean;
  /** Counts requests that no virtual host, route or cluster took. */
  readonly unrouted: Edge;
  /** Counts requests to a service that led to no cluster. */
  unserved(service: ServiceInfo): Edge;
  /** Counts requests to hosts that the mesh does not know. */
  readonly passthrough: Edge;
  /** Counts connections from outside the mesh to a port of the own workload that no service declares. */
  readonly inboundPassthrough: Edge;
  readonly hosts: ReadonlySet<Host>;
  /** Clusters with an endpoint of that name go on with the addresses that it has now. True: `hosts` are others than before. */
  onNameChange(name: string): boolean;
}

/** An endpoint that a captured connection was dialled to, and the cluster in which it is. */
export interface PinnedEndpoint {
  readonly cluster: CompiledCluster;
  readonly endpoint: ClusterEndpoint;
}
