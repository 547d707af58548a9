/** An endpoint of a compiled cluster: bound to its host, to the counters of its edge, and to what is known of its health. */
import type { Endpoint } from "../../model/cluster.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import type { ResetReason } from "../exchange.ts";
import type { EndpointHealth } from "./health/endpoint_health.ts";
import type { Host } from "./host.ts";
import type { PoolMember } from "./locality/endpoint_pools.ts";

export class ClusterEndpoint implements PoolMember {
  readonly weight: number;
  /** Given by its cluster; null as long as nobody asks. */
  health: EndpointHealth | null = null;

  /** `http2Host`: for requests that come in HTTP/2, where it is spoken to as the client speaks; null: `host`. */
  constructor(
    readonly endpoint: Endpoint,
    readonly host: Host,
    readonly edge: Edge,
    readonly http2Host: Host | null = null,
  ) {
    this.weight = Math.max(1, endpoint.weight);
  }

  get active(): number {
    return this.http2Host === null ? this.host.load : this.host.load + this.http2Host.load;
  }

  get key(): string {
    return `${this.endpoint.address}:${this.endpoint.port}`;
  }

  get isHealthy(): boolean {
    return this.endpoint.health !== "unhealthy" && (this.health === null || this.health.ejectedAtMs === null);
  }

  /** As of its host: others are asked as long as there are any. */
  get isSilent(): boolean {
    return this.host.isSilent;
  }

  get healthySinceMs(): number {
    return this.health === null ? -Infinity : this.health.healthySinceMs;
  }

  /**
   * Tells the cluster how an attempt went: the status that the upstream answered (gRPC's as HTTP), or 0 and why there
   * was none. For the hot path.
   */
  report(status: number, reason: ResetReason | null): void {
    if (this.health !== null) this.health.report(status, reason);
  }
}
