/** What every balancer does, then what each of them promises. */
import { describe, expect, test } from "bun:test";
import { Prng } from "../../../../../src/lib/prng.ts";
import type { BalancerPolicy } from "../../../../../src/model/snapshot.ts";
import { type Candidate, createBalancer } from "../../../../../src/proxy/cluster/balancer/balancer.ts";
import { ClusterEndpoint, CompiledCluster } from "../../../../../src/proxy/cluster/cluster.ts";
import type { Host } from "../../../../../src/proxy/cluster/host.ts";
import type { Edge } from "../../../../../src/telemetry/edge_metrics.ts";
import { cluster, endpoint } from "../../data_plane.ts";

interface One extends Candidate {
  readonly name: number;
  active: number;
}

function candidates(...weights: number[]): One[] {
  return weights.map((weight, name) => ({ name, weight, active: 0 }));
}

/** How often each one was picked. */
function picks(policy: BalancerPolicy, all: readonly One[], count: number, seed = 1): number[] {
  const balancer = createBalancer(policy, all, new Prng(seed));
  const counts = all.map(() => 0);
  for (let i = 0; i < count; i++) {
    const { name } = balancer.pick();
    counts[name] = (counts[name] as number) + 1;
  }
  return counts;
}

const POLICIES: BalancerPolicy[] = ["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM"];

describe.each(POLICIES)("every balancer: %s", (policy) => {
  test("it gives the only endpoint", () => {
    expect(picks(policy, candidates(7), 10)).toEqual([10]);
  });

  test("it spreads idle endpoints of one weight evenly", () => {
    for (const count of picks(policy, candidates(1, 1, 1, 1), 8_000)) {
      expect(count).toBeGreaterThan(1_800);
      expect(count).toBeLessThan(2_200);
    }
  });

  test("it gives the same picks for the same seed", () => {
    expect(picks(policy, candidates(1, 2, 3), 50, 9)).toEqual(picks(policy, candidates(1, 2, 3), 50, 9));
  });

  test("it prefers a heavy endpoint and forgets no light one", () => {
    const [light, heavy] = picks(policy, candidates(1, 9), 10_000) as [number, number];
    expect(light).toBeGreaterThan(0);
    expect(heavy).toBeGreaterThan(5 * light);
  });
});

describe("RandomBalancer", () => {
  test("RandomBalancer follows the weights", () => {
    const [a, b, c] = picks("RANDOM", candidates(1, 2, 5), 16_000) as [number, number, number];
    for (const [count, expected] of [[a, 2_000], [b, 4_000], [c, 10_000]] as const) {
      expect(Math.abs(count - expected)).toBeLessThan(250);
    }
  });
});

describe("RoundRobinBalancer", () => {
  test("RoundRobinBalancer goes round in order, from a start of its own", () => {
    const order = (seed: number) => {
      const balancer = createBalancer("ROUND_ROBIN", candidates(1, 1, 1), new Prng(seed));
      return Array.from({ length: 6 }, () => balancer.pick().name);
    };
    const starts = new Set<number>();
    for (let seed = 0; seed < 30; seed++) {
      const [start] = order(seed) as [number];
      starts.add(start);
      expect(order(seed)).toEqual([0, 1, 2, 0, 1, 2].map((step) => (start + step) % 3));
    }
    expect(starts.size).toBe(3);
  });

  test("RoundRobinBalancer follows the weights exactly, without bursts", () => {
    const balancer = createBalancer("ROUND_ROBIN", candidates(5, 1, 1), new Prng(1));
    const order = Array.from({ length: 14 }, () => balancer.pick().name).join("");
    expect(order).toBe("00102000010200".slice(0, 7).repeat(2));
    expect(order).not.toContain("0000000");
  });
});

describe("LeastRequestBalancer", () => {
  test("LeastRequestBalancer gives the less loaded of two choices", () => {
    const all = candidates(1, 1);
    (all[0] as One).active = 10;
    const [loaded, free] = picks("LEAST_REQUEST", all, 4_000) as [number, number];
    // The loaded one is given only when it was drawn twice.
    expect(loaded).toBeGreaterThan(800);
    expect(loaded).toBeLessThan(1_200);
    expect(loaded + free).toBe(4_000);
  });

  test("LeastRequestBalancer keeps the load level while requests are in flight", () => {
    const all = candidates(1, 1, 1, 1, 1);
    const balancer = createBalancer("LEAST_REQUEST", all, new Prng(3));
    for (let i = 0; i < 1_000; i++) balancer.pick().active++;
    const loads = all.map(({ active }) => active);
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThan(15);
  });

  test("LeastRequestBalancer measures load against weight", () => {
    const all = candidates(1, 4);
    const balancer = createBalancer("LEAST_REQUEST", all, new Prng(3));
    for (let i = 0; i < 1_000; i++) balancer.pick().active++;
    expect(all[1]?.active).toBeGreaterThan(3 * (all[0] as One).active);
  });
});

describe("CompiledCluster", () => {
  const host = (active: number) => ({ active }) as Host;
  const edge = {} as Edge;
  const endpoints = [1, 2, 3].map((n) => new ClusterEndpoint(endpoint(n), host(0), edge));

  test("CompiledCluster.pick() gives another endpoint than the previous one, as far as there is one", () => {
    for (const balancer of ["ROUND_ROBIN", "RANDOM", "LEAST_REQUEST"] as const) {
      const compiled = new CompiledCluster(cluster({ balancer }), endpoints, edge, new Prng(1));
      let same = 0;
      for (let i = 0; i < 1_000; i++) {
        const first = compiled.pick(null);
        if (compiled.pick(first) === first) same++;
      }
      // Of five draws among three, one in 243 gives the same each time.
      expect(same).toBeLessThan(15);
      const alone = new CompiledCluster(cluster({ balancer }), endpoints.slice(0, 1), edge, new Prng(1));
      expect(alone.pick(endpoints[0] as ClusterEndpoint)).toBe(endpoints[0] as ClusterEndpoint);
    }
  });

  test("CompiledCluster.pick() gives null when there is no endpoint", () => {
    expect(new CompiledCluster(cluster(), [], edge, new Prng(1)).pick(null)).toBeNull();
  });

  test("ClusterEndpoint takes a weight below 1 for 1, and its load from the host", () => {
    const one = new ClusterEndpoint({ ...endpoint(1), weight: 0 }, host(7), edge);
    expect([one.weight, one.active]).toEqual([1, 7]);
  });
});
