/** Power of two choices: of two random endpoints the one with fewer requests in flight for its weight (as Envoy does). */
import type { Random } from "../../../lib/prng.ts";
import type { Balancer, Candidate } from "./balancer.ts";
import { RandomBalancer } from "./random.ts";

export class LeastRequestBalancer<Endpoint extends Candidate> implements Balancer<Endpoint> {
  readonly #only: Endpoint | null;
  readonly #random: RandomBalancer<Endpoint>;

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.#only = endpoints.length === 1 ? endpoints[0] as Endpoint : null;
    this.#random = new RandomBalancer(endpoints, random);
  }

  pick(): Endpoint {
    if (this.#only !== null) return this.#only;
    const first = this.#random.pick();
    const second = this.#random.pick();
    return (second.active + 1) / second.weight < (first.active + 1) / first.weight ? second : first;
  }
}
