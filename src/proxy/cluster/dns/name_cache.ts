/**
 * The names of endpoints and their addresses, one cache for all clusters of a proxy: looked up again when an answer has
 * run out. What was good last goes on serving while nobody answers.
 */
import type { Clock } from "../../../lib/clock.ts";
import type { Timed, TimerWheel } from "../../../lib/timer_wheel.ts";
import type { ResolvedName, ResolveName } from "../../../runtime/dns.ts";

/** No answer is used for less than this, and this long after a failure the name is tried again. */
export const DNS_REFRESH_MIN_MS = 5_000;

/**
 * A new snapshot waits for the first answers about its names, but not longer than this: the rest of it has nothing to do
 * with a name server that is slow.
 */
export const DNS_WARMUP_MAX_MS = 500;

/** Who calls by a name that has had no answer yet waits for it, as long as it has not been looked up for this time. */
export const DNS_FIRST_ANSWER_MAX_MS = 5_000;

/** Names of one proxy; further ones are never looked up. */
export const DNS_NAMES_MAX = 4_096;

export interface NameCacheOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly resolve: ResolveName;
  /** One line for the log. */
  warn(message: string): void;
  /** A name has other addresses than before, or the same ones in another order. */
  onChange(name: string): void;
}

export class NameCache {
  readonly #options: NameCacheOptions;
  readonly #names = new Map<string, WatchedName>();

  constructor(options: NameCacheOptions) {
    this.#options = options;
  }

  /** As DNS said last; null: it never said anything. */
  addressesOf(name: string): readonly string[] | null {
    return this.#names.get(name)?.addresses ?? null;
  }

  /** Resolves when one of these has had its first answer, or failed; null: none of them is waited for. */
  firstAnswer(names: readonly string[]): Promise<void> | null {
    const watched = names.map((name) => this.#names.get(name)).filter((one) => one?.isAwaited === true);
    return watched.length === 0 ? null : Promise.race(watched.map((one) => (one as WatchedName).first));
  }

  /** Begins to look up what is new; resolves when there is an answer about each, or the time is up. Null: nothing is new. */
  warm(names: ReadonlySet<string>): Promise<void> | null {
    const asked = [...names].filter((name) => !this.#names.has(name)).map((name) => this.#watch(name));
    const firsts = asked.filter((one) => one !== null).map((one) => one.first);
    if (firsts.length === 0) return null;
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(DNS_WARMUP_MAX_MS, resolve);
      void Promise.all(firsts).then(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Looks up these from now on, and no others. */
  retain(names: ReadonlySet<string>): void {
    for (const [name, watched] of this.#names) {
      if (names.has(name)) continue;
      watched.stop();
      this.#names.delete(name);
    }
    for (const name of names) if (!this.#names.has(name)) this.#watch(name);
  }

  get size(): number {
    return this.#names.size;
  }

  #watch(name: string): WatchedName | null {
    if (this.#names.size >= DNS_NAMES_MAX) {
      this.#options.warn(`The name ${name} is not looked up: there are ${DNS_NAMES_MAX} others`);
      return null;
    }
    const watched = new WatchedName(name, this.#options);
    this.#names.set(name, watched);
    return watched;
  }
}

class WatchedName implements Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  addresses: readonly string[] | null = null;
  /** Nothing is known of it yet, and may be soon. */
  isAwaited = true;
  /** Resolves when it is awaited no more: with the first answer or failure, or after a while. */
  readonly first: Promise<void>;
  readonly #endWait: () => void;
  readonly #name: string;
  readonly #options: NameCacheOptions;
  #stopped = false;
  /** The last lookup failed, and the log says so. */
  #failing = false;

  constructor(name: string, options: NameCacheOptions) {
    this.#name = name;
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.first = promise;
    const cancel = options.clock.after(DNS_FIRST_ANSWER_MAX_MS, () => this.#endWait());
    this.#endWait = () => {
      cancel();
      this.isAwaited = false;
      resolve();
    };
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#endWait();
    this.#options.wheel.clear(this);
  }

  onDeadline(): void {
    void this.#look();
  }

  async #look(): Promise<void> {
    let answer: ResolvedName | null = null;
    let reason = "";
    try {
      answer = await this.#options.resolve(this.#name);
    } catch (error) {
      reason = String((error as { code?: unknown }).code ?? (error as Error).message);
    }
    if (this.#stopped) return;
    if (answer === null) this.#fail(reason);
    else this.#take(answer.addresses);
    if (this.isAwaited) this.#endWait();
    this.#options.wheel.set(this, Math.max(answer?.ttlMs ?? 0, DNS_REFRESH_MIN_MS));
  }

  #take(addresses: readonly string[]): void {
    this.#failing = false;
    const before = this.addresses;
    const same = before?.length === addresses.length &&
      before.every((address, i) => address === addresses[i]);
    if (same) return;
    this.addresses = addresses;
    this.#options.onChange(this.#name);
  }

  #fail(reason: string): void {
    if (this.#failing) return;
    this.#failing = true;
    const rest = this.addresses === null ? "it has no endpoints" : "its last addresses serve on";
    this.#options.warn(`Cannot look up ${this.#name}: ${reason}; ${rest}`);
  }
}
