/** A compiled cluster: its endpoints, each bound to a host and to the counters of its edge, and the balancer over them. */
import type { Random } from "../../lib/prng.ts";
import type { Cluster, Endpoint } from "../../model/snapshot.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import { type Balancer, type Candidate, createBalancer } from "./balancer/balancer.ts";
import type { Host } from "./host.ts";

/** A retry looks this often for an endpoint that it has not tried (Istio's host selection attempts). */
const OTHER_ENDPOINT_PICKS_MAX = 5;

export class ClusterEndpoint implements Candidate {
  readonly weight: number;

  constructor(readonly endpoint: Endpoint, readonly host: Host, readonly edge: Edge) {
    this.weight = Math.max(1, endpoint.weight);
  }

  get active(): number {
    return this.host.active;
  }
}

export class CompiledCluster {
  readonly #balancer: Balancer<ClusterEndpoint> | null;

  constructor(
    readonly cluster: Cluster,
    readonly endpoints: readonly ClusterEndpoint[],
    /** Counts what no endpoint got: no healthy upstream. */
    readonly unserved: Edge,
    random: Random,
  ) {
    this.#balancer = endpoints.length === 0 ? null : createBalancer(cluster.balancer, endpoints, random);
  }

  /** An endpoint, if possible another one than `previous`; null when there is none. */
  pick(previous: ClusterEndpoint | null): ClusterEndpoint | null {
    if (this.#balancer === null) return null;
    let picked = this.#balancer.pick();
    for (let i = 1; i < OTHER_ENDPOINT_PICKS_MAX && picked === previous; i++) picked = this.#balancer.pick();
    return picked;
  }
}
