/** Ring and Maglev: the same key to the same endpoint, whoever asks, and little moved when endpoints come or go. */
import { describe, expect, test } from "bun:test";
import { keyHash } from "../../../../../src/lib/hash.ts";
import type { Candidate } from "../../../../../src/proxy/cluster/balancer/balancer.ts";
import type { HashTable } from "../../../../../src/proxy/cluster/balancer/hash_table.ts";
import {
  MAGLEV_TABLE_SIZE,
  MAGLEV_TABLE_SIZE_MAX,
  MaglevTable,
} from "../../../../../src/proxy/cluster/balancer/maglev_table.ts";
import {
  RING_SIZE_MAX,
  RING_SIZE_MIN,
  RingTable,
} from "../../../../../src/proxy/cluster/balancer/ring_table.ts";
import { isWithin3Sigma } from "../members.ts";

const DRAWS = 20_000;
const KEYS = Array.from({ length: DRAWS }, (_, i) => keyHash(`user-${i}`));

function members(...weights: number[]): Candidate[] {
  return weights.map((weight, i) => ({ weight, active: 0, key: `192.0.2.${i}:8080` }));
}

const equal = (count: number) => members(...Array.from({ length: count }, () => 1));

/** Names of the owners of all keys. */
function owners(table: HashTable, all: readonly Candidate[]): string[] {
  return KEYS.map((key) => (all[table.owner(key)] as Candidate).key);
}

function counts(table: HashTable, count: number): number[] {
  const sums = new Array<number>(count).fill(0);
  for (const key of KEYS) sums[table.owner(key)]!++;
  return sums;
}

const ring = (all: readonly Candidate[], size = RING_SIZE_MIN) => RingTable.of(all, size, null);
const maglev = (all: readonly Candidate[], size = MAGLEV_TABLE_SIZE) => MaglevTable.of(all, size, null);

describe.each([["RingTable", ring], ["MaglevTable", maglev]] as const)("every table: %s", (_name, of) => {
  test("owner() moves about one key in N when one of N endpoints goes, and few others", () => {
    const all = equal(10);
    const rest = all.filter((_, i) => i !== 3);
    const [before, after] = [owners(of(all), all), owners(of(rest), rest)];
    const moved = before.filter((owner, i) => owner !== after[i]).length / DRAWS;
    const needless = before.filter((owner, i) => owner !== after[i] && owner !== "192.0.2.3:8080").length /
      DRAWS;
    expect(moved).toBeGreaterThan(0.06);
    // Maglev trades a few for its evenness; on the ring each of those that stay gets eleven points more, for its
    // smallest size, and the keys before them.
    expect(moved).toBeLessThan(of === ring ? 0.17 : 0.13);
    expect(needless).toBeLessThan(of === ring ? 0.08 : 0.02);
  });

  test("owner() moves about one key in N + 1 when an endpoint comes to N", () => {
    const all = equal(10);
    const more = equal(11);
    const [before, after] = [owners(of(all), all), owners(of(more), more)];
    const moved = before.filter((owner, i) => owner !== after[i]).length / DRAWS;
    expect(moved).toBeGreaterThan(0.05);
    expect(moved).toBeLessThan(of === ring ? 0.16 : 0.13);
  });

  test("owner() tells the same whatever order the endpoints are given in, for nearly all keys", () => {
    const all = members(1, 2, 3, 4, 5);
    const turned = [...all].reverse();
    const [a, b] = [owners(of(all), all), owners(of(turned), turned)];
    // Maglev's endpoints take turns in that order, as Envoy's do.
    expect(a.filter((owner, i) => owner !== b[i]).length / DRAWS).toBeLessThan(0.05);
  });

  test("owner() gives heavy endpoints more keys", () => {
    const [light, heavy] = counts(of(members(1, 4)), 2) as [number, number];
    expect(heavy / light).toBeGreaterThan(3);
    expect(heavy / light).toBeLessThan(5.3);
  });

  test("of() takes over a table that fits, and no other", () => {
    const all = equal(5);
    const size = of === ring ? RING_SIZE_MIN : MAGLEV_TABLE_SIZE;
    const old = of(all);
    const again = (next: readonly Candidate[], wanted = size) =>
      (of === ring ? RingTable : MaglevTable).of(next, wanted, old);
    expect(again(equal(5))).toBe(old);
    expect(again(equal(6))).not.toBe(old);
    expect(again(members(1, 1, 1, 1, 2))).not.toBe(old);
    expect(again(all, 1_031)).not.toBe(old);
  });

  test("owner() spans all hashes", () => {
    const table = of(equal(3));
    for (const key of [0, 1, 2 ** 31, 2 ** 32 - 1]) expect(table.owner(key)).toBeWithin(0, 3);
  });
});

describe("RingTable", () => {
  test("RingTable has as many points as Envoy's ring: a whole number for the lightest", () => {
    const size = (all: Candidate[], minimum?: number) => (ring(all, minimum) as RingTable).size;
    expect(size(equal(1))).toBe(1_024);
    expect(size(equal(3))).toBe(3 * 342);
    expect(size(members(1, 2))).toBe(3 * 342);
    expect(size(equal(5_000))).toBe(5_000);
    expect(size(equal(2), 10)).toBe(10);
  });

  test("RingTable stops at its largest size, however uneven the weights are", () => {
    expect((ring(members(1, RING_SIZE_MAX - 1)) as RingTable).size).toBe(RING_SIZE_MAX);
    expect((ring(members(1, RING_SIZE_MAX)) as RingTable).size).toBe(RING_SIZE_MAX);
  });

  test("RingTable moves the keys of the endpoint that goes, and no other, while points for each stay as many", () => {
    // One point each: the ring is larger than its smallest size by itself.
    const all = equal(2_000);
    const rest = all.filter((_, i) => i !== 3);
    const [before, after] = [owners(ring(all), all), owners(ring(rest), rest)];
    for (const [i, owner] of before.entries()) if (owner !== after[i]) expect(owner).toBe("192.0.2.3:8080");
  });

  test("RingTable spreads keys the more evenly, the more points it has", () => {
    const spread = (size: number) => {
      const all = counts(ring(equal(10), size), 10);
      return Math.max(...all) / Math.min(...all);
    };
    expect(spread(1_024)).toBeLessThan(2);
    expect(spread(100_000)).toBeLessThan(1.2);
  });
});

describe("MaglevTable", () => {
  test("MaglevTable spreads keys within three standard deviations of the weights", () => {
    counts(maglev(equal(10)), 10).forEach((count) => expect(isWithin3Sigma(count, DRAWS, 1 / 10)).toBe(true));
    const weights = [1, 2, 3, 4];
    counts(maglev(members(...weights)), 4).forEach((count, i) =>
      expect(isWithin3Sigma(count, DRAWS, (weights[i] as number) / 10)).toBe(true)
    );
  });

  test("MaglevTable refuses a size that is no prime, or larger than its largest", () => {
    expect(() => maglev(equal(2), 65_536)).toThrow("A Maglev table has a prime number of slots");
    for (const size of [0, 1, 2.5]) expect(() => maglev(equal(2), size)).toThrow(RangeError);
    expect(() => maglev(equal(2), MAGLEV_TABLE_SIZE_MAX + 18)).toThrow(RangeError);
    for (const size of [2, 3, 1_009]) expect(maglev(equal(2), size).owner(7)).toBeWithin(0, 2);
  });

  test("MaglevTable serves more endpoints than it has slots", () => {
    expect(maglev(equal(50), 11).owner(5)).toBeWithin(0, 50);
  });
});
