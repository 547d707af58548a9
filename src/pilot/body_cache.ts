/** Bodies with their versions, by all that they are made of: hashing is what making a snapshot costs most. */
import { contentHash } from "../lib/hash.ts";
import type { Resource, VersionedResource } from "../model/snapshot.ts";

/** A body that was not asked for in so many generations is forgotten. */
const GENERATIONS_KEPT = 50;

interface Entry {
  readonly resource: VersionedResource;
  generation: number;
}

export class BodyCache {
  readonly #entries = new Map<string, Entry>();
  #generation = 0;

  /** The body of a key; built when it is not there. Equal keys must mean equal bodies, for ever. */
  get(key: string, build: () => Resource): VersionedResource {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const body = build();
      entry = { resource: { version: contentHash(body), body }, generation: this.#generation };
      this.#entries.set(key, entry);
    } else entry.generation = this.#generation;
    return entry.resource;
  }

  /** A generation of the configuration begins; once in a while, those that are long unused go. */
  beginGeneration(): void {
    if (++this.#generation % GENERATIONS_KEPT !== 0) return;
    for (const [key, { generation }] of this.#entries) {
      if (generation < this.#generation - GENERATIONS_KEPT) this.#entries.delete(key);
    }
  }
}
