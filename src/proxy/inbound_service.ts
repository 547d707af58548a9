/** A port of the own workload, as requests and bytes are delivered to it. */
import type { Limits } from "../model/limits.ts";
import type { InboundPort, ProxySettings } from "../model/snapshot.ts";
import type { GatewayTls } from "../model/gateway_listener.ts";
import type { HttpProtocol, PortProtocol } from "../model/port_protocol.ts";
import type { ServiceInfo } from "../model/call_info.ts";
import type { Edge } from "../telemetry/edge_metrics.ts";
import type { Host } from "./cluster/host.ts";
import { PoolLimits } from "./cluster/pool_limits.ts";

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
  /** The workload's port, for tunnels. */
  readonly tunnelHost: Host;
  /** Of both; null: nothing is limited. */
  readonly limits: PoolLimits | null;
  readonly connectTimeoutMs: number;
}

/** The own workload is near: Envoy gives it the same time as anybody, and so do we (Istio's connectTimeout). */
export const INBOUND_CONNECT_TIMEOUT_MS = 10_000;

/** Makes the host of a port. */
export type Deliver = (
  inbound: InboundPort,
  protocol: HttpProtocol | "tcp",
  limits: PoolLimits | null,
) => Host;

export interface InboundContext {
  readonly deliver: Deliver;
  /** What holds where a port's limits say nothing. */
  readonly ownLimits: Limits;
  readonly previous: ReadonlyMap<number, InboundService>;
}

/** Of several services at one port the last has it. What is in use counts on with other limits. */
export function inboundServices(
  settings: ProxySettings,
  plainEdge: (service: ServiceInfo) => Edge,
  { deliver, ownLimits, previous }: InboundContext,
): ReadonlyMap<number, InboundService> {
  const ports = new Map(settings.inbound.map((inbound) => [inbound.port, inbound]));
  const limitsOf = (port: number) => previous.get(port)?.limits ?? new PoolLimits(ownLimits);
  return new Map([...ports].map(([port, inbound]) => {
    const limits = inbound.limits === undefined ? null : limitsOf(port);
    const host = deliver(inbound, inbound.followsClient ? "http1" : inbound.protocol ?? "http1", limits);
    return [port, {
      service: inbound.service,
      declared: inbound.declared ?? "auto",
      strict: inbound.mtls === "strict",
      tls: inbound.tls ?? null,
      plainEdge: plainEdge(inbound.service),
      host,
      http2Host: inbound.followsClient ? deliver(inbound, "http2", limits) : host,
      tunnelHost: deliver(inbound, "tcp", limits),
      limits,
      connectTimeoutMs: inbound.connectTimeoutMs ?? INBOUND_CONNECT_TIMEOUT_MS,
    }];
  }));
}
