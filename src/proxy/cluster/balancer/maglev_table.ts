/**
 * Google's Maglev table as Envoy builds it: every endpoint wants the slots in an order of its own, and they take turns,
 * by weight, until none is free. Lookup is one step, and shares are more even than on a ring.
 */
import { isPrime } from "../../../lib/prime.ts";
import { keyHash } from "../../../lib/hash.ts";
import type { Candidate } from "./balancer.ts";
import { type HashTable, TableSource } from "./hash_table.ts";

/** Slots when nothing else is said. */
export const MAGLEV_TABLE_SIZE = 65_537;
/** Slots of the largest table. */
export const MAGLEV_TABLE_SIZE_MAX = 5_000_011;

const FREE = -1;
/** Makes the step of an endpoint's order another number than its start. */
const STEP_SEED = 1;

export class MaglevTable implements HashTable {
  readonly #source: TableSource;
  readonly #owners: Int32Array;

  /**
   * Throws when the size is not a prime up to MAGLEV_TABLE_SIZE_MAX: an endpoint's step would not come by every slot of
   * a table of another size.
   */
  static of(endpoints: readonly Candidate[], size: number, old: HashTable | null): HashTable {
    if (old instanceof MaglevTable && old.fits(endpoints, size)) return old;
    if (size > MAGLEV_TABLE_SIZE_MAX || !isPrime(size)) {
      throw new RangeError(
        `A Maglev table has a prime number of slots up to ${MAGLEV_TABLE_SIZE_MAX}, not ${size}`,
      );
    }
    return new MaglevTable(new TableSource(endpoints, size));
  }

  private constructor(source: TableSource) {
    this.#source = source;
    this.#owners = fill(source);
  }

  fits(endpoints: readonly Candidate[], size: number): boolean {
    return this.#source.equals(endpoints, size);
  }

  owner(key: number): number {
    return this.#owners[key % this.#owners.length] as number;
  }
}

function fill({ size, keys, weights }: TableSource): Int32Array {
  const owners = new Int32Array(size).fill(FREE);
  const slot = Float64Array.from(keys, (key) => keyHash(key) % size);
  const step = Float64Array.from(keys, (key) => keyHash(key, STEP_SEED) % (size - 1) + 1);
  const heaviest = weights.reduce((most, weight) => Math.max(most, weight));
  /** The weight that an endpoint's turns so far have used up. */
  const used = new Float64Array(keys.length);
  let taken = 0;
  for (let round = 1; taken < size; round++) {
    for (let i = 0; i < keys.length && taken < size; i++) {
      if (round * (weights[i] as number) < (used[i] as number)) continue;
      used[i] = (used[i] as number) + heaviest;
      let wanted = slot[i] as number;
      while (owners[wanted] !== FREE) wanted = (wanted + (step[i] as number)) % size;
      owners[wanted] = i;
      slot[i] = wanted;
      taken++;
    }
  }
  return owners;
}
