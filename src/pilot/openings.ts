/** Ports that open: whoever is to serve at one hears of it before whoever may call there. */
import type { Clock } from "../lib/clock.ts";
import type { VersionedResource } from "../model/snapshot.ts";
import type { DiscoverySession } from "./discovery_session.ts";

/** Callers are held up no longer by a proxy that does not answer. */
export const OPENING_WAIT_MS = 1_000;

export class Openings {
  readonly #clock: Clock;
  readonly #onOver: () => void;
  /** Who has yet to confirm that it serves at its new ports. */
  readonly #untold = new Set<DiscoverySession>();
  #cancel: (() => void) | null = null;

  /** `onOver` is called when the callers may hear of the ports. */
  constructor(clock: Clock, onOver: () => void) {
    this.#clock = clock;
    this.#onOver = onOver;
  }

  /** Until it is over, nobody is told where to call. */
  get isOn(): boolean {
    return this.#cancel !== null;
  }

  /** These open ports; what they are to have is offered to them next. */
  begin(opening: Iterable<DiscoverySession>): void {
    for (const session of opening) this.#untold.add(session);
    if (this.#untold.size > 0) this.#cancel ??= this.#clock.after(OPENING_WAIT_MS, () => this.#end());
  }

  /** The session has answered its last push, or is over. */
  onSettled(session: DiscoverySession): void {
    if (this.#untold.delete(session) && this.#untold.size === 0) this.#end();
  }

  close(): void {
    this.#cancel?.();
  }

  #end(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#untold.clear();
    this.#onOver();
  }
}

/** Whether a proxy that has some settings is to open ports for others. */
export function opensPorts(next: VersionedResource, before: VersionedResource): boolean {
  if (next === before || next.body.kind !== "proxy" || before.body.kind !== "proxy") return false;
  const open = new Set(before.body.inbound.map(({ port }) => port));
  return next.body.inbound.some(({ port }) => !open.has(port));
}
