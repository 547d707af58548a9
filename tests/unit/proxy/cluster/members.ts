/** Clusters without hosts, for tests of who is chosen. */
import { ManualClock } from "../../../../src/lib/clock.ts";
import { Prng } from "../../../../src/lib/prng.ts";
import { TimerWheel } from "../../../../src/lib/timer_wheel.ts";
import type { Cluster, Endpoint } from "../../../../src/model/cluster.ts";
import { type ClusterContext, CompiledCluster } from "../../../../src/proxy/cluster/cluster.ts";
import { ClusterEndpoint } from "../../../../src/proxy/cluster/cluster_endpoint.ts";
import type { Host } from "../../../../src/proxy/cluster/host.ts";
import type { OwnPlace } from "../../../../src/proxy/cluster/locality/locality.ts";
import type { Edge } from "../../../../src/telemetry/edge_metrics.ts";
import { cluster, endpoint } from "../data_plane.ts";

/** An endpoint at 192.0.2.N, with something to say of itself. */
export function place(n: number, locality: string, more: Partial<Endpoint> = {}): Endpoint {
  return { ...endpoint(n), locality, ...more };
}

/** Nothing stands in for it. */
function fakeHost(): Host {
  const host = {
    active: 0,
    isSilent: false,
    get load() {
      return host.active;
    },
  };
  return host as Host;
}

/** One cluster from snapshot to snapshot, on a manual clock. */
export class ClusterLife {
  readonly clock = new ManualClock(1_000_000);
  readonly wheel = new TimerWheel(this.clock);
  readonly context: ClusterContext;
  current: CompiledCluster | null = null;

  constructor(own: OwnPlace = { locality: "", labels: {} }, seed = 1) {
    const { clock, wheel } = this;
    this.context = { clock, wheel, random: new Prng(seed), place: own };
  }

  serve(more: Partial<Cluster>, endpoints: readonly Endpoint[]): CompiledCluster {
    const bound = endpoints.map((one) => new ClusterEndpoint(one, fakeHost(), {} as Edge));
    const parts = { cluster: cluster(more), endpoints: bound, unserved: {} as Edge, limits: null };
    const next = new CompiledCluster(parts, this.context, this.current);
    this.current?.stop();
    next.start();
    this.current = next;
    return next;
  }

  /** The endpoint at 192.0.2.N. */
  at(n: number): ClusterEndpoint {
    const found = this.current?.endpoints.find((one) => one.endpoint.address === `192.0.2.${n}`);
    if (found === undefined) throw new Error(`There is no endpoint ${n}`);
    return found;
  }

  /** Nothing comes back from there any more, or it does again. */
  silence(n: number, isSilent = true): void {
    (this.at(n).host as { isSilent: boolean }).isSilent = isSilent;
  }

  /** How often each endpoint is picked, by its N; those that never are, are not named. */
  shares(picks: number): Record<number, number> {
    const counts: Record<number, number> = {};
    for (let i = 0; i < picks; i++) {
      const picked = this.current?.pick() ?? null;
      const n = picked === null ? 0 : Number(picked.endpoint.address.split(".")[3]);
      counts[n] = (counts[n] ?? 0) + 1;
    }
    return counts;
  }
}

/** Whether a count of so many draws with this chance is within three standard deviations. */
export function isWithin3Sigma(count: number, draws: number, chance: number): boolean {
  return Math.abs(count - draws * chance) <= 3 * Math.sqrt(draws * chance * (1 - chance));
}
