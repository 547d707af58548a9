/** Which endpoint a hash belongs to: what ring and Maglev have in common. */
import type { Candidate } from "./balancer.ts";

export interface HashTable {
  /** Index of the endpoint that the key belongs to. */
  owner(key: number): number;
  /** Whether a table of this size over these endpoints would be the same. */
  fits(endpoints: readonly Candidate[], size: number): boolean;
}

/** What a table was built from. It depends on nothing else, so all proxies have the same one. */
export class TableSource {
  readonly size: number;
  readonly keys: readonly string[];
  readonly weights: readonly number[];
  readonly weightSum: number;

  constructor(endpoints: readonly Candidate[], size: number) {
    this.size = size;
    this.keys = endpoints.map(({ key }) => key);
    this.weights = endpoints.map(({ weight }) => weight);
    this.weightSum = this.weights.reduce((sum, weight) => sum + weight, 0);
  }

  equals(endpoints: readonly Candidate[], size: number): boolean {
    return size === this.size && endpoints.length === this.keys.length &&
      endpoints.every(({ key, weight }, i) => key === this.keys[i] && weight === this.weights[i]);
  }
}
