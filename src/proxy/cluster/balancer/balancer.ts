/** Chooses an endpoint of a cluster for a request; one file for each policy, listed in `create_balancer.ts`. */

/** What a balancer sees of an endpoint. */
export interface Candidate {
  /** 1 or more. */
  readonly weight: number;
  /** Requests in flight. */
  readonly active: number;
  /** Names the endpoint where keys are hashed: the same for every proxy. */
  readonly key: string;
}

/** The hash of a request that has nothing to be hashed by. */
export const NO_KEY = -1;

export interface Balancer<Endpoint extends Candidate> {
  /** One of the endpoints; the list is never empty. `key`: the request's hash, 0 … 2^32-1, or NO_KEY. */
  pick(key: number): Endpoint;
}

/** Whether all weigh the same. */
export function equalWeights(endpoints: readonly Candidate[]): boolean {
  return endpoints.every((endpoint) => endpoint.weight === endpoints[0]?.weight);
}
