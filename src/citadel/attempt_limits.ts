/**
 * How often somebody may ask for a certificate: a bucket of attempts for each source, which fills up again with time, and
 * one for all together. An attempt that a token was used up for is given back, so that only those count that bring
 * nothing: a thousand machines behind one address may join at once.
 */
import type { Clock } from "../lib/clock.ts";
import { formatIp, parseIp } from "../lib/ip.ts";

/** Attempts of one source in a row, and how many come back in a second. */
export const SOURCE_ATTEMPTS_MAX = 100;
const SOURCE_ATTEMPTS_PER_SECOND = 1;

/** Attempts of all sources together in a row, and how many come back in a second. */
export const ATTEMPTS_MAX = 1_000;
const ATTEMPTS_PER_SECOND = 100;

/** Sources that are remembered; above, the one that asked least lately is forgotten. */
export const SOURCES_MAX = 10_000;

/** An owner of one IPv6 address has at least 2^64 of them. */
const IPV6_PREFIX_BYTES = 8;

export type Attempt =
  | { readonly allowed: true; giveBack(): void }
  | {
    readonly allowed: false;
    /** Whole seconds until the next attempt can succeed. */
    readonly retryAfterS: number;
    /** The first refusal since the source was last allowed: worth a line in the log. */
    readonly isFirst: boolean;
  };

export class AttemptLimits {
  readonly #clock: Clock;
  readonly #all: Bucket;
  /** Whoever asked last stands last. */
  readonly #sources = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#all = new Bucket(ATTEMPTS_MAX, ATTEMPTS_PER_SECOND, clock);
  }

  /** `source` is an IP address, or anything else that tells callers apart. */
  take(source: string): Attempt {
    const bucket = this.#bucketOf(sourceKey(source));
    const [scarcest, other] = bucket.waitS() >= this.#all.waitS() ? [bucket, this.#all] : [this.#all, bucket];
    const waitS = scarcest.waitS();
    if (waitS > 0) {
      const isFirst = !bucket.refused;
      bucket.refused = true;
      return { allowed: false, retryAfterS: Math.ceil(waitS), isFirst };
    }
    bucket.refused = false;
    scarcest.take();
    other.take();
    const giveBack = () => {
      scarcest.giveBack();
      other.giveBack();
    };
    return { allowed: true, giveBack };
  }

  #bucketOf(key: string): Bucket {
    const bucket = this.#sources.get(key) ??
      new Bucket(SOURCE_ATTEMPTS_MAX, SOURCE_ATTEMPTS_PER_SECOND, this.#clock);
    this.#sources.delete(key);
    this.#sources.set(key, bucket);
    if (this.#sources.size > SOURCES_MAX) {
      const [oldest] = this.#sources.keys();
      this.#sources.delete(oldest as string);
    }
    return bucket;
  }
}

class Bucket {
  readonly #max: number;
  readonly #perSecond: number;
  readonly #clock: Clock;
  #left: number;
  #atMs: number;
  /** The last attempt found nothing left. */
  refused = false;

  constructor(max: number, perSecond: number, clock: Clock) {
    this.#max = max;
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#left = max;
    this.#atMs = clock.monotonic();
  }

  /** Seconds until there is one; 0 when there is. */
  waitS(): number {
    const nowMs = this.#clock.monotonic();
    this.#left = Math.min(this.#max, this.#left + (nowMs - this.#atMs) / 1000 * this.#perSecond);
    this.#atMs = nowMs;
    return this.#left >= 1 ? 0 : (1 - this.#left) / this.#perSecond;
  }

  take(): void {
    this.#left--;
  }

  giveBack(): void {
    this.#left = Math.min(this.#max, this.#left + 1);
  }
}

function sourceKey(source: string): string {
  const bytes = parseIp(source);
  if (bytes === null || bytes.length === 4) return source;
  return formatIp(Uint8Array.from(bytes, (byte, i) => i < IPV6_PREFIX_BYTES ? byte : 0));
}
