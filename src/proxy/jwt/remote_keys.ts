/**
 * The keys of an issuer that a server has. They are asked for once at a time, however many wait; kept while they are
 * fresh, asked for anew before they are not, and used a while longer where the server fails. Before it has ever answered
 * there are none, and no token is taken.
 */
import { Backoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Random } from "../../lib/prng.ts";
import { JwksError, readJwks } from "../../model/jwks.ts";
import { KeySet } from "./key_set.ts";
import type { KeySource } from "./key_source.ts";
import { KeyServerError } from "./key_request.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;

/** Keys are this long as good as new (Istio's and Envoy's cache): so late a withdrawn one is still taken. */
export const KEYS_FRESH_MS = 5 * MINUTE_MS;
/** From then on they are asked for while the old ones serve. */
export const KEYS_REFRESH_MS = 4 * MINUTE_MS;
/** So old they may become while the server fails. */
export const KEYS_STALE_MAX_MS = 60 * MINUTE_MS;
/** A token that names an unknown key makes the proxy ask again, as often as this: anybody can write such tokens. */
export const UNKNOWN_KEY_INTERVAL_MS = 10 * SECOND_MS;
/** Between attempts that fail. */
const RETRY = { baseMs: SECOND_MS, maxMs: 30 * SECOND_MS };

export interface RemoteKeysOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** For the log: whose keys these are. */
  readonly issuer: string;
  /** The set as the server answers it. Rejects with KeyServerError. */
  ask(): Promise<string>;
  warn(message: string): void;
  info(message: string): void;
}

export class RemoteKeys implements KeySource {
  readonly #options: RemoteKeysOptions;
  readonly #backoff: Backoff;
  #keys: KeySet | null = null;
  #text = "";
  #obtainedMs = -Infinity;
  #askedMs = -Infinity;
  #retryAtMs = -Infinity;
  /** Since when the server fails; null: it answered last. */
  #failingSinceMs: number | null = null;
  #asking: Promise<KeySet | null> | null = null;

  constructor(options: RemoteKeysOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ ...RETRY, random: options.random });
  }

  current(): KeySet | null | Promise<KeySet | null> {
    const ageMs = this.#now - this.#obtainedMs;
    if (ageMs < KEYS_REFRESH_MS) return this.#keys;
    const failed = this.#retryAtMs > this.#obtainedMs;
    const asks = this.#asking !== null || this.#now >= this.#retryAtMs;
    // A server that fails is not waited for again and again, as long as the old keys may serve.
    if (ageMs < KEYS_FRESH_MS || (failed && this.#lastGood !== null)) {
      if (asks) void this.#ask();
      return this.#keys;
    }
    return asks ? this.#ask() : null;
  }

  renewed(known: KeySet): Promise<KeySet | null> | null {
    // Somebody else's token brought newer ones in the meantime.
    if (this.#keys !== null && this.#keys !== known) return Promise.resolve(this.#keys);
    if (this.#asking !== null) return this.#asking;
    const soon = this.#now - this.#askedMs < UNKNOWN_KEY_INTERVAL_MS || this.#now < this.#retryAtMs;
    return soon ? null : this.#ask();
  }

  get #now(): number {
    return this.#options.clock.monotonic();
  }

  get #lastGood(): KeySet | null {
    return this.#now - this.#obtainedMs < KEYS_STALE_MAX_MS ? this.#keys : null;
  }

  #ask(): Promise<KeySet | null> {
    this.#asking ??= this.#askOnce().finally(() => this.#asking = null);
    return this.#asking;
  }

  async #askOnce(): Promise<KeySet | null> {
    this.#askedMs = this.#now;
    try {
      this.#take(await this.#options.ask());
      this.#tellOfRecovery();
    } catch (error) {
      if (!(error instanceof KeyServerError || error instanceof JwksError)) throw error;
      this.#failingSinceMs ??= this.#askedMs;
      this.#retryAtMs = this.#now + this.#backoff.next();
      this.#tell(error.message);
    }
    return this.#lastGood;
  }

  /** Throws JwksError. */
  #take(text: string): void {
    if (text !== this.#text || this.#keys === null) {
      const jwks = readJwks(text);
      if (jwks.keys.length === 0) throw new JwksError("no key of it verifies a signature");
      this.#keys = new KeySet(jwks);
      this.#text = text;
    }
    this.#obtainedMs = this.#now;
    this.#backoff.reset();
  }

  #tellOfRecovery(): void {
    if (this.#failingSinceMs === null) return;
    const seconds = Math.round((this.#now - this.#failingSinceMs) / SECOND_MS);
    this.#failingSinceMs = null;
    const { issuer, info } = this.#options;
    info(`The keys of the issuer ${JSON.stringify(issuer)} are there again, after ${seconds} s of failures`);
  }

  #tell(reason: string): void {
    const { issuer, warn } = this.#options;
    const minutes = Math.floor((this.#now - this.#obtainedMs) / MINUTE_MS);
    const fate = this.#lastGood === null
      ? "its tokens are refused"
      : `its tokens are verified by the keys of ${minutes} min ago, for ${
        KEYS_STALE_MAX_MS / MINUTE_MS
      } min at most`;
    warn(`No keys of the issuer ${JSON.stringify(issuer)}: ${reason}; ${fate}`);
  }
}
