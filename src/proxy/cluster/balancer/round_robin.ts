/** Each endpoint in turn; with unequal weights the smooth variant, in which heavy ones do not come in bursts. */
import type { Random } from "../../../lib/prng.ts";
import type { Balancer, Candidate } from "./balancer.ts";

export class RoundRobinBalancer<Endpoint extends Candidate> implements Balancer<Endpoint> {
  readonly #endpoints: readonly Endpoint[];
  readonly #equal: boolean;
  readonly #total: number;
  /** How far each endpoint's turn has come, when the weights differ. */
  readonly #credit: Float64Array;
  #next: number;

  /** Starts at a random endpoint, so that many proxies do not begin with the same one. */
  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.#endpoints = endpoints;
    this.#equal = endpoints.every((endpoint) => endpoint.weight === endpoints[0]?.weight);
    this.#total = endpoints.reduce((sum, endpoint) => sum + endpoint.weight, 0);
    this.#credit = new Float64Array(endpoints.length);
    this.#next = random.below(endpoints.length);
  }

  pick(): Endpoint {
    const endpoints = this.#endpoints;
    if (this.#equal) {
      const endpoint = endpoints[this.#next] as Endpoint;
      this.#next = this.#next + 1 === endpoints.length ? 0 : this.#next + 1;
      return endpoint;
    }
    let best = 0;
    for (let i = 0; i < endpoints.length; i++) {
      const credit = (this.#credit[i] as number) + (endpoints[i] as Endpoint).weight;
      this.#credit[i] = credit;
      if (credit > (this.#credit[best] as number)) best = i;
    }
    this.#credit[best] = (this.#credit[best] as number) - this.#total;
    return endpoints[best] as Endpoint;
  }
}
