/** A compiled cluster: its endpoints, who of them may be asked, and who is asked next. */
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import { NO_KEY } from "./balancer/balancer.ts";
import type { ClusterEndpoint } from "./cluster_endpoint.ts";
import { HashPolicy } from "./hash_policy.ts";
import { EndpointHealth } from "./health/endpoint_health.ts";
import { OutlierDetector } from "./health/outlier_detector.ts";
import { EndpointPools, type PoolContext } from "./locality/endpoint_pools.ts";
import type { PoolLimits } from "./pool_limits.ts";

/** A retry looks this often for an endpoint that it has not tried (Istio's host selection attempts). */
const OTHER_ENDPOINT_PICKS_MAX = 5;

/** Attempts after which retries look further away (Istio's update frequency). */
const LOCALITY_ATTEMPTS = 2;

const NONE: readonly ClusterEndpoint[] = [];
const NEVER = (): null => null;

export interface ClusterContext extends PoolContext {
  readonly wheel: TimerWheel;
}

/** What a cluster is made of. */
export interface ClusterParts {
  readonly cluster: Cluster;
  readonly endpoints: readonly ClusterEndpoint[];
  /** Counts what no endpoint got: no healthy upstream. */
  readonly unserved: Edge;
  /** Null: its connections are shared with whoever calls the same addresses. */
  readonly limits: PoolLimits | null;
  /** Names its own connections where it has limits. @default null */
  readonly pool?: string | null;
  /** Some endpoint is a name: where there is none, DNS may be why. @default false */
  readonly hasNames?: boolean;
  /** Where some endpoint is a name: as `CompiledCluster.firstAnswer`. @default none is waited for */
  firstAnswer?(): Promise<void> | null;
}

export class CompiledCluster implements ClusterParts {
  readonly cluster: Cluster;
  /** As DNS has them, where some of them are names. */
  endpoints: readonly ClusterEndpoint[];
  readonly unserved: Edge;
  readonly limits: PoolLimits | null;
  readonly pool: string | null;
  /** What requests are hashed by; null: they are not. */
  readonly hashPolicy: HashPolicy | null;
  readonly hasNames: boolean;
  /** Resolves when there may be endpoints where there are none yet, since DNS was still to be heard; null: it was heard. */
  readonly firstAnswer: () => Promise<void> | null;
  /** For counters; null: nobody is ejected. */
  outlier: OutlierDetector | null;
  #pools: EndpointPools<ClusterEndpoint>;
  readonly #context: ClusterContext;
  /** Endpoints whose probe found them healthy again. */
  #recovered: readonly EndpointHealth[];
  #startMs: number;
  /** Made when it is asked for. */
  #byAddress: Map<string, ClusterEndpoint> | null = null;

  /**
   * `previous`: the cluster of that name which serves now. Its endpoints' health is taken over, and nothing of it is
   * changed before `start`. Throws when the settings cannot be followed.
   */
  constructor(parts: ClusterParts, context: ClusterContext, previous: CompiledCluster | null) {
    const { cluster, endpoints, unserved, limits } = parts;
    this.cluster = cluster;
    this.endpoints = endpoints;
    this.unserved = unserved;
    this.limits = limits;
    this.pool = parts.pool ?? null;
    this.hasNames = parts.hasNames === true;
    this.firstAnswer = parts.firstAnswer ?? NEVER;
    this.#context = context;
    const hashes = cluster.balancer === "RING_HASH" || cluster.balancer === "MAGLEV";
    this.hashPolicy = hashes && cluster.hash !== undefined
      ? new HashPolicy(cluster.hash.keys, context.random)
      : null;
    this.#startMs = context.clock.monotonic();
    this.#recovered = this.#takeOverHealth(previous);
    this.#pools = new EndpointPools(cluster, endpoints, context, previous === null ? null : previous.#pools);
    this.outlier = this.#detect(previous);
  }

  /** DNS has other addresses: from now on these are asked. What is known of those that stay is taken over. */
  replaceEndpoints(endpoints: readonly ClusterEndpoint[]): void {
    const before = { endpoints: this.endpoints, outlier: this.outlier };
    this.outlier?.stop();
    this.endpoints = endpoints;
    this.#byAddress = null;
    this.#startMs = this.#context.clock.monotonic();
    this.#recovered = this.#takeOverHealth(before);
    this.#pools = new EndpointPools(this.cluster, endpoints, this.#context, this.#pools);
    this.outlier = this.#detect(before);
    this.start();
  }

  /** The cluster serves now, instead of the previous one. */
  start(): void {
    this.limits?.configure(this.cluster.limits ?? {});
    this.outlier?.start();
    for (const health of this.#recovered) health.healthySinceMs = this.#startMs;
    if (this.#recovered.length > 0) this.#pools.refresh();
  }

  /** Another one serves instead; requests in flight may still ask this one. */
  stop(): void {
    this.outlier?.stop();
  }

  /**
   * An endpoint; if possible none that was tried, and none from which nothing comes back. Null when nobody may be asked.
   * `key`: of `hashPolicy`.
   */
  pick(tried: readonly ClusterEndpoint[] = NONE, key: number = NO_KEY): ClusterEndpoint | null {
    const picked = this.#pools.pick(key);
    return picked === null || !this.#avoids(picked, tried) ? picked : this.#pickOther(picked, tried, key);
  }

  /** A key belongs to one endpoint, tried or not. */
  #avoids(one: ClusterEndpoint, tried: readonly ClusterEndpoint[]): boolean {
    return one.isSilent || (tried.length > 0 && this.hashPolicy === null && tried.includes(one));
  }

  #pickOther(first: ClusterEndpoint, tried: readonly ClusterEndpoint[], key: number): ClusterEndpoint | null {
    let picked: ClusterEndpoint | null = first;
    let nextKey = key;
    for (let i = 1; i < OTHER_ENDPOINT_PICKS_MAX; i++) {
      nextKey = keyAfter(nextKey);
      picked = this.#pools.pick(nextKey);
      if (picked === null || !this.#avoids(picked, tried)) return picked;
    }
    // One that answers nothing has nothing in flight either: to LEAST_REQUEST it is the best of all.
    const beside = this.#pools.pickBeside(picked, (one) => this.#avoids(one, tried));
    if (beside !== null) return beside;
    // All of them are silent, or tried.
    return (this.hashPolicy === null ? this.#pools.pickBeside(picked, (one) => tried.includes(one)) : null) ??
      first;
  }

  /**
   * An endpoint of other localities than those of the attempts, where two of them went to each (Envoy's
   * `previous_priorities` as Istio sets it up); when none are left, as `pick`.
   */
  pickElsewhere(
    attempted: readonly ClusterEndpoint[],
    tried: readonly ClusterEndpoint[] | undefined,
    key: number,
  ): ClusterEndpoint | null {
    const exhausted = attempted.slice(0, attempted.length - attempted.length % LOCALITY_ATTEMPTS);
    const elsewhere = exhausted.length === 0 ? null : this.#pools.pickBeyond(exhausted, key);
    return elsewhere ?? this.pick(tried, key);
  }

  #detect(previous: Known | null): OutlierDetector | null {
    const { outlier } = this.cluster;
    if (outlier === undefined) return null;
    const health = this.endpoints.map((one) => one.health as EndpointHealth);
    const counters = previous?.outlier?.counters ?? { ejections: 0, overflow: 0 };
    return new OutlierDetector(outlier, health, this.#context, counters, () => this.#pools.refresh());
  }

  #takeOverHealth(previous: Known | null): EndpointHealth[] {
    const { outlier, warmup } = this.cluster;
    if (outlier === undefined && warmup === undefined) return [];
    const recovered: EndpointHealth[] = [];
    const before = new Map(previous?.endpoints.map((one) => [identityOf(one), one]));
    for (const one of this.endpoints) {
      const old = before.get(identityOf(one));
      before.delete(identityOf(one));
      // What was there when the cluster came is as warm as it will ever be.
      const sinceMs = old?.healthySinceMs ?? (previous === null ? -Infinity : this.#startMs);
      const keeps = outlier !== undefined && previous?.outlier !== null && old !== undefined;
      const health = keeps && old.health !== null ? old.health : new EndpointHealth(sinceMs);
      one.health = health;
      if (old?.endpoint.health === "unhealthy" && one.endpoint.health === undefined) recovered.push(health);
    }
    return recovered;
  }
}

/** Whom a key belongs to as long as its own endpoint is not to be had: the same one for all who have it. */
function keyAfter(key: number): number {
  return key === NO_KEY ? NO_KEY : (Math.imul(key, 0x9e3779b1) + 1) >>> 0;
}

/** What was known before. */
type Known = Pick<CompiledCluster, "endpoints" | "outlier">;

/** What tells an endpoint from all others, equal for the same one in another snapshot. */
function identityOf({ key, endpoint }: ClusterEndpoint): string {
  return `${key}|${endpoint.workload.principal}`;
}
