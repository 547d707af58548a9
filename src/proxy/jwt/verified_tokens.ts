/** Tokens that were verified, so that a client's next request does not wait: by hash, for as long as token and keys hold. */
import { bytesHash } from "../../lib/hash.ts";
import type { KeySet } from "./key_set.ts";

/** Verified tokens that are kept of one rule; with more, the one that was not used for longest goes. */
const VERIFIED_TOKENS_MAX = 2_000;

/** The whole SHA-256: a token that collides would pass for another. */
export function tokenHash(token: string): string {
  return bytesHash(new TextEncoder().encode(token));
}

interface Entry<Verified> {
  readonly verified: Verified;
  /** A key that is withdrawn takes along what it signed. */
  readonly keys: KeySet;
}

export class VerifiedTokens<Verified> {
  readonly #entries = new Map<string, Entry<Verified>>();

  get(hash: string, keys: KeySet): Verified | null {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return null;
    this.#entries.delete(hash);
    if (entry.keys !== keys) return null;
    this.#entries.set(hash, entry);
    return entry.verified;
  }

  set(hash: string, keys: KeySet, verified: Verified): void {
    this.#entries.delete(hash);
    if (this.#entries.size >= VERIFIED_TOKENS_MAX) {
      this.#entries.delete(this.#entries.keys().next().value as string);
    }
    this.#entries.set(hash, { verified, keys });
  }
}
