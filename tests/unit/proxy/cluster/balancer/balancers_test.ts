/** What every balancer does, then what each of them promises. */
import { describe, expect, test } from "bun:test";
import { Prng, type Random } from "../../../../../src/lib/prng.ts";
import type { BalancerPolicy } from "../../../../../src/model/cluster.ts";
import { type Candidate, NO_KEY } from "../../../../../src/proxy/cluster/balancer/balancer.ts";
import { createBalancer } from "../../../../../src/proxy/cluster/balancer/create_balancer.ts";
import { isWithin3Sigma } from "../members.ts";

interface One extends Candidate {
  readonly name: number;
  active: number;
}

function candidates(...weights: number[]): One[] {
  return weights.map((weight, name) => ({ name, weight, active: 0, key: `10.0.0.${name}:80` }));
}

function balancerOf(policy: BalancerPolicy, all: readonly One[], random: Random) {
  return createBalancer(policy, all, { random, weigh: null, hash: undefined, previous: null });
}

/** How often each one was picked. */
function picks(policy: BalancerPolicy, all: readonly One[], count: number, seed = 1): number[] {
  const balancer = balancerOf(policy, all, new Prng(seed));
  const counts = all.map(() => 0);
  for (let i = 0; i < count; i++) {
    const { name } = balancer.pick(NO_KEY);
    counts[name] = (counts[name] as number) + 1;
  }
  return counts;
}

const POLICIES: BalancerPolicy[] = [
  "LEAST_REQUEST",
  "ROUND_ROBIN",
  "RANDOM",
  "PASSTHROUGH",
  "RING_HASH",
  "MAGLEV",
];

describe.each(POLICIES)("every balancer: %s", (policy) => {
  test("it gives the only endpoint", () => {
    expect(picks(policy, candidates(7), 10)).toEqual([10]);
  });

  test("it spreads idle endpoints of one weight evenly", () => {
    // On a ring the shares are as uneven as its points.
    const slack = policy === "RING_HASH" ? 0.06 : 0;
    for (const count of picks(policy, candidates(1, 1, 1, 1), 8_000)) {
      const even = [0.25 - slack, 0.25 + slack].some((share) => isWithin3Sigma(count, 8_000, share));
      expect(even || Math.abs(count / 8_000 - 0.25) < slack).toBe(true);
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
    for (const [count, weight] of [[a, 1], [b, 2], [c, 5]] as const) {
      expect(isWithin3Sigma(count, 16_000, weight / 8)).toBe(true);
    }
  });
});

describe("RoundRobinBalancer", () => {
  test("RoundRobinBalancer goes round in order, from a start of its own", () => {
    const order = (seed: number) => {
      const balancer = balancerOf("ROUND_ROBIN", candidates(1, 1, 1), new Prng(seed));
      return Array.from({ length: 6 }, () => balancer.pick(NO_KEY).name);
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
    const weights = [5, 1, 3];
    for (let seed = 0; seed < 20; seed++) {
      const balancer = balancerOf("ROUND_ROBIN", candidates(...weights), new Prng(seed));
      const order = Array.from({ length: 900 }, () => balancer.pick(NO_KEY).name);
      // Any stretch of picks, from the start or not, is within one pick of each share.
      for (const [from, length] of [[0, 9], [3, 45], [100, 90], [0, 900]] as const) {
        const stretch = order.slice(from, from + length);
        weights.forEach((weight, name) => {
          const count = stretch.filter((one) => one === name).length;
          expect(Math.abs(count - length * weight / 9)).toBeLessThan(2);
        });
      }
      expect(order.join("")).not.toContain("0000");
    }
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
    const balancer = balancerOf("LEAST_REQUEST", all, new Prng(3));
    for (let i = 0; i < 1_000; i++) balancer.pick(NO_KEY).active++;
    const loads = all.map(({ active }) => active);
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThan(15);
  });

  test("LeastRequestBalancer gives idle endpoints their shares by weight", () => {
    const [a, b, c] = picks("LEAST_REQUEST", candidates(1, 2, 7), 10_000) as [number, number, number];
    for (const [count, expected] of [[a, 1_000], [b, 2_000], [c, 7_000]] as const) {
      expect(Math.abs(count - expected)).toBeLessThan(2);
    }
  });

  test("LeastRequestBalancer divides a weight by the requests in flight", () => {
    const all = candidates(1, 4);
    (all[1] as One).active = 3;
    const [light, heavy] = picks("LEAST_REQUEST", all, 1_000) as [number, number];
    // 4 / (3 + 1) is what the other one weighs.
    expect(Math.abs(light - heavy)).toBeLessThan(4);
  });
});
