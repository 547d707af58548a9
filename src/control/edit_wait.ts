/** For how long an edit waits for the rest of it. */
import { type OpenEnd, OTHER_HALF_WAIT_MS } from "./open_ends.ts";

/** The longest, however much more comes that is open for something, too. */
export const EDIT_WAIT_MAX_MS = 15_000;

export class EditWait {
  /** When each thing was first waited for; monotonic milliseconds. */
  #since: ReadonlyMap<string, number> = new Map();
  /** Null: nothing waits. */
  #sinceMs: number | null = null;

  /** How long an edit that was read just now waits, which takes the place of one that waits already; 0: not at all. */
  leftMs(open: readonly OpenEnd[], nowMs: number): number {
    if (open.length === 0) return 0;
    this.#sinceMs ??= nowMs;
    const since = new Map(open.map(({ key }) => [key, this.#since.get(key) ?? nowMs]));
    this.#since = since;
    const left = open.map(({ key, quietMs, waitMaxMs = OTHER_HALF_WAIT_MS }) =>
      Math.min((since.get(key) as number) + waitMaxMs - nowMs, quietMs ?? Infinity)
    );
    return Math.max(0, Math.min(Math.max(...left), this.#sinceMs + EDIT_WAIT_MAX_MS - nowMs));
  }

  /** Whether it is being waited for already. */
  has({ key }: OpenEnd): boolean {
    return this.#since.has(key);
  }

  /** Nothing waits any more. */
  end(): void {
    this.#since = new Map();
    this.#sinceMs = null;
  }
}
