/** Chooses an endpoint of a cluster for a request; one file for each policy, listed in `balancers`. */
import type { Random } from "../../../lib/prng.ts";
import type { BalancerPolicy } from "../../../model/snapshot.ts";
import { LeastRequestBalancer } from "./least_request.ts";
import { RandomBalancer } from "./random.ts";
import { RoundRobinBalancer } from "./round_robin.ts";

/** What a balancer sees of an endpoint. */
export interface Candidate {
  /** 1 or more. */
  readonly weight: number;
  /** Requests in flight. */
  readonly active: number;
}

export interface Balancer<Endpoint extends Candidate> {
  /** One of the endpoints; the list is never empty. */
  pick(): Endpoint;
}

const balancers = {
  LEAST_REQUEST: LeastRequestBalancer,
  ROUND_ROBIN: RoundRobinBalancer,
  RANDOM: RandomBalancer,
} as const;

export function createBalancer<Endpoint extends Candidate>(
  policy: BalancerPolicy,
  endpoints: readonly Endpoint[],
  random: Random,
): Balancer<Endpoint> {
  return new balancers[policy](endpoints, random);
}
