/**
 * Of two random endpoints the one with fewer requests in flight. With unequal weights, as Envoy: by deadlines, where
 * requests in flight divide the weight; two choices would leave light endpoints idle as long as little is going on.
 */
import type { Random } from "../../../lib/prng.ts";
import { type Balancer, type Candidate, equalWeights } from "./balancer.ts";
import { DeadlineSchedule } from "./deadline_schedule.ts";

export class LeastRequestBalancer<Endpoint extends Candidate> implements Balancer<Endpoint> {
  readonly #endpoints: readonly Endpoint[];
  readonly #random: Random;
  readonly #schedule: DeadlineSchedule<Endpoint> | null;

  constructor(
    endpoints: readonly Endpoint[],
    random: Random,
    weigh: ((endpoint: Endpoint) => number) | null = null,
  ) {
    this.#endpoints = endpoints;
    this.#random = random;
    const weightOf = weigh ?? ((one: Endpoint) => one.weight);
    const plain = weigh === null && equalWeights(endpoints);
    this.#schedule = plain
      ? null
      : new DeadlineSchedule(endpoints, (one) => weightOf(one) / (one.active + 1), random);
  }

  pick(): Endpoint {
    if (this.#schedule !== null) return this.#schedule.next();
    const endpoints = this.#endpoints;
    const count = endpoints.length;
    if (count === 1) return endpoints[0] as Endpoint;
    const first = endpoints[this.#random.below(count)] as Endpoint;
    const second = endpoints[this.#random.below(count)] as Endpoint;
    return second.active < first.active ? second : first;
  }
}
