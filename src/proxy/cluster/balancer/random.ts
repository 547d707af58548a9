/** Random choice in proportion to the weights. */
import type { Random } from "../../../lib/prng.ts";
import type { Balancer, Candidate } from "./balancer.ts";

export class RandomBalancer<Endpoint extends Candidate> implements Balancer<Endpoint> {
  readonly #endpoints: readonly Endpoint[];
  readonly #random: Random;
  /** Running sums of the weights; null when all weigh the same. */
  readonly #cumulative: readonly number[] | null;

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.#endpoints = endpoints;
    this.#random = random;
    const equal = endpoints.every((endpoint) => endpoint.weight === endpoints[0]?.weight);
    let sum = 0;
    this.#cumulative = equal ? null : endpoints.map((endpoint) => (sum += endpoint.weight));
  }

  pick(): Endpoint {
    const endpoints = this.#endpoints;
    if (endpoints.length === 1) return endpoints[0] as Endpoint;
    if (this.#cumulative === null) return endpoints[this.#random.below(endpoints.length)] as Endpoint;
    const ticket = this.#random.below(this.#cumulative[endpoints.length - 1] as number);
    return endpoints[firstAbove(this.#cumulative, ticket)] as Endpoint;
  }
}

/** Index of the first of the rising numbers that is above the value. */
function firstAbove(rising: readonly number[], value: number): number {
  let low = 0;
  let high = rising.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rising[middle] as number) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
