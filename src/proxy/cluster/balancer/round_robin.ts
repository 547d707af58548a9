/** Each endpoint in turn; with unequal weights by deadlines, so that heavy ones do not come in bursts. */
import type { Random } from "../../../lib/prng.ts";
import { type Balancer, type Candidate, equalWeights } from "./balancer.ts";
import { DeadlineSchedule } from "./deadline_schedule.ts";

export class RoundRobinBalancer<Endpoint extends Candidate> implements Balancer<Endpoint> {
  readonly #endpoints: readonly Endpoint[];
  readonly #schedule: DeadlineSchedule<Endpoint> | null;
  #next: number;

  /** Starts at a random endpoint, so that many proxies do not begin with the same one. */
  constructor(
    endpoints: readonly Endpoint[],
    random: Random,
    weigh: ((endpoint: Endpoint) => number) | null = null,
  ) {
    this.#endpoints = endpoints;
    const plain = weigh === null && equalWeights(endpoints);
    this.#schedule = plain ? null : new DeadlineSchedule(endpoints, weigh ?? ((one) => one.weight), random);
    this.#next = random.below(endpoints.length);
  }

  pick(): Endpoint {
    if (this.#schedule !== null) return this.#schedule.next();
    const endpoints = this.#endpoints;
    const endpoint = endpoints[this.#next] as Endpoint;
    this.#next = this.#next + 1 === endpoints.length ? 0 : this.#next + 1;
    return endpoint;
  }
}
