/**
 * Ketama's ring as Envoy builds it: every endpoint has points on a circle of hashes, as many as it weighs, and owns the
 * keys up to each of them.
 */
import { keyHash } from "../../../lib/hash.ts";
import type { Candidate } from "./balancer.ts";
import { type HashTable, TableSource } from "./hash_table.ts";

/** Points on a ring when nothing else is said (Envoy's `minimum_ring_size`). */
export const RING_SIZE_MIN = 1_024;
/** Points on a ring, however uneven the weights are: building more would hold up requests. */
export const RING_SIZE_MAX = 1_048_576;

/** A point is hash × this + index of its owner: one number to sort, exact in a double. */
const OWNERS_MAX = 2_097_152;

export class RingTable implements HashTable {
  readonly #source: TableSource;
  /** Rising. */
  readonly #points: Uint32Array;
  readonly #owners: Uint32Array;

  static of(endpoints: readonly Candidate[], minimumSize: number, old: HashTable | null): HashTable {
    if (old instanceof RingTable && old.fits(endpoints, minimumSize)) return old;
    return new RingTable(new TableSource(endpoints, minimumSize));
  }

  private constructor(source: TableSource) {
    this.#source = source;
    const points = placePoints(source).sort();
    this.#points = Uint32Array.from(points, (point) => Math.floor(point / OWNERS_MAX));
    this.#owners = Uint32Array.from(points, (point) => point % OWNERS_MAX);
  }

  get size(): number {
    return this.#points.length;
  }

  fits(endpoints: readonly Candidate[], size: number): boolean {
    return this.#source.equals(endpoints, size);
  }

  /** The owner of the first point at or after the key; after the last comes the first. */
  owner(key: number): number {
    const points = this.#points;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((points[middle] as number) < key) low = middle + 1;
      else high = middle;
    }
    return this.#owners[low === points.length ? 0 : low] as number;
  }
}

/** As many points for each endpoint as Envoy gives it: the lightest gets a whole number of them. */
function placePoints({ size, keys, weights, weightSum }: TableSource): Float64Array {
  const lightest = weights.reduce((least, weight) => Math.min(least, weight)) / weightSum;
  const scale = Math.min(Math.ceil(lightest * size) / lightest, RING_SIZE_MAX);
  const points: number[] = [];
  let target = 0;
  keys.forEach((key, owner) => {
    target += scale * (weights[owner] as number) / weightSum;
    // Rounding in the sum must not give the last endpoint one point less, or more.
    const until = Math.round(target * 1e6) / 1e6;
    for (let i = 0; points.length < until; i++) points.push(keyHash(`${key}_${i}`) * OWNERS_MAX + owner);
  });
  return Float64Array.from(points);
}
