/** The balancer of each policy. */
import type { Random } from "../../../lib/prng.ts";
import type { BalancerPolicy, HashSettings } from "../../../model/cluster.ts";
import type { Balancer, Candidate } from "./balancer.ts";
import { HashBalancer } from "./hash_balancer.ts";
import { LeastRequestBalancer } from "./least_request.ts";
import { MAGLEV_TABLE_SIZE, MaglevTable } from "./maglev_table.ts";
import { RandomBalancer } from "./random.ts";
import { RING_SIZE_MIN, RingTable } from "./ring_table.ts";
import { RoundRobinBalancer } from "./round_robin.ts";

export interface BalancerOptions<Endpoint extends Candidate> {
  readonly random: Random;
  /** What an endpoint weighs at this moment, while some are warming up; null: what they say. */
  readonly weigh: ((endpoint: Endpoint) => number) | null;
  readonly hash: HashSettings | undefined;
  /** The balancer that this one follows: its table serves on if the endpoints are the same. */
  readonly previous: Balancer<Endpoint> | null;
}

/** Throws when the settings cannot be followed. */
export function createBalancer<Endpoint extends Candidate>(
  policy: BalancerPolicy,
  endpoints: readonly Endpoint[],
  { random, weigh, hash, previous }: BalancerOptions<Endpoint>,
): Balancer<Endpoint> {
  const old = previous instanceof HashBalancer ? previous.table : null;
  switch (policy) {
    case "LEAST_REQUEST":
      return new LeastRequestBalancer(endpoints, random, weigh);
    case "ROUND_ROBIN":
      return new RoundRobinBalancer(endpoints, random, weigh);
    case "RING_HASH":
      return new HashBalancer(
        endpoints,
        RingTable.of(endpoints, hash?.minimumRingSize ?? RING_SIZE_MIN, old),
        random,
      );
    case "MAGLEV":
      return new HashBalancer(
        endpoints,
        MaglevTable.of(endpoints, hash?.tableSize ?? MAGLEV_TABLE_SIZE, old),
        random,
      );
    // PASSTHROUGH goes where the connection was going; one that was not captured was going nowhere yet.
    default:
      return new RandomBalancer(endpoints, random);
  }
}
