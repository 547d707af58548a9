/** The endpoint that a request's key belongs to: equal keys come to the same one as long as it is there. */
import type { Random } from "../../../lib/prng.ts";
import type { Balancer, Candidate } from "./balancer.ts";
import type { HashTable } from "./hash_table.ts";

export class HashBalancer<Endpoint extends Candidate> implements Balancer<Endpoint> {
  readonly table: HashTable;
  readonly #endpoints: readonly Endpoint[];
  readonly #random: Random;

  constructor(endpoints: readonly Endpoint[], table: HashTable, random: Random) {
    this.#endpoints = endpoints;
    this.table = table;
    this.#random = random;
  }

  pick(key: number): Endpoint {
    const owner = this.table.owner(key < 0 ? this.#random.uint32() : key);
    return this.#endpoints[owner] as Endpoint;
  }
}
