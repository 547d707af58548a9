/** A wait for the answers of some proxies, before others are told what follows from them. */
import type { Clock } from "../../lib/clock.ts";
import type { DiscoverySession } from "./discovery_session.ts";

/** Nobody is held up longer by a proxy that does not answer. */
export const ROUND_MS_MAX = 1_000;

export class PushRound {
  readonly #clock: Clock;
  readonly #onOver: () => void;
  /** Who has yet to answer. */
  readonly #awaited = new Set<DiscoverySession>();
  #cancel: (() => void) | null = null;

  /** `onOver` is called when all have answered, or time is up. */
  constructor(clock: Clock, onOver: () => void) {
    this.#clock = clock;
    this.#onOver = onOver;
  }

  get isOn(): boolean {
    return this.#cancel !== null;
  }

  /** Their answers are awaited, too; the time runs from the first call. */
  begin(sessions: Iterable<DiscoverySession>): void {
    for (const session of sessions) this.#awaited.add(session);
    if (this.#awaited.size > 0) this.#cancel ??= this.#clock.after(ROUND_MS_MAX, () => this.#end());
  }

  /** The session has answered its last push, or is over. */
  onSettled(session: DiscoverySession): void {
    if (this.#awaited.delete(session) && this.#awaited.size === 0) this.#end();
  }

  close(): void {
    this.#cancel?.();
  }

  #end(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#awaited.clear();
    this.#onOver();
  }
}
