/** A port of the own workload, as requests and bytes are delivered to it. */
import type { GatewayTls } from "../model/gateway_listener.ts";
import type { PortProtocol } from "../model/port_protocol.ts";
import type { ServiceInfo } from "../model/call_info.ts";
import type { Edge } from "../telemetry/edge_metrics.ts";
import type { Host } from "./cluster/host.ts";
import type { PoolLimits } from "./cluster/pool_limits.ts";

export interface InboundService {
  readonly service: ServiceInfo;
  readonly declared: PortProtocol;
  /** Refuse what does not come over the mesh. */
  readonly strict: boolean;
  /** How those who call from outside the mesh have to speak TLS; null: they do not. */
  readonly tls: GatewayTls | null;
  /** Counts calls from outside the mesh. */
  readonly plainEdge: Edge;
  readonly host: Host;
  /** For requests of clients that speak HTTP/2: another one where the workload is spoken to as they speak. */
  readonly http2Host: Host;
  /** The same address for tunnels. */
  readonly tunnelHost: Host;
  /** Of both; null: nothing is limited. */
  readonly limits: PoolLimits | null;
  readonly connectTimeoutMs: number;
}
