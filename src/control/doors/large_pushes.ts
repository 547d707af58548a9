/**
 * Takes turns with pushes that are large: when all proxies come at once, as after a restart of the control plane, some
 * are served quickly and the others wait, instead of all being served slowly and held in memory in part.
 */
import type { Clock } from "../../lib/clock.ts";
import { packText } from "../../lib/packed_text.ts";
import type { Push } from "../../model/discovery.ts";
import type { VersionedResource } from "../../model/snapshot.ts";
import type { OutgoingPush } from "../../pilot/discovery/discovery_session.ts";

/** A push of more resources is large: about 50 kB. */
export const SMALL_PUSH_RESOURCES_MAX = 50;

/** Large pushes that are being sent at once. */
export const LARGE_PUSHES_MAX = 64;

/** After this time a push goes on, but does not hold up others any more: its proxy reads slowly. */
export const TURN_MS = 2_000;

/** How long a packed push is kept: proxies that come at once are sent the same, and later ones another anyway. */
const PACKED_KEPT_MS = 10_000;

/** A piece of what many are sent alike has so many bytes. */
export const PIECE_BYTES = 32 * 1024;

/** A push in two parts. */
export interface PackedPush {
  /** What the proxy is sent for itself. */
  readonly own: Push;
  /** `packed`, in pieces that all have in common; null: nothing is. */
  readonly packed: readonly Uint8Array[] | null;
}

const encoder = new TextEncoder();

export class LargePushes {
  readonly #clock: Clock;
  readonly #waiting: (() => void)[] = [];
  readonly #packed = new Map<readonly VersionedResource[], readonly Uint8Array[]>();
  #cancelForget: (() => void) | null = null;
  #sending = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isLarge(push: Push): boolean {
    return push.set.length > SMALL_PUSH_RESOURCES_MAX;
  }

  /** Takes out what others are sent too: it is packed once for all of them, and in memory once. */
  packed(push: OutgoingPush): PackedPush {
    const { whole, set, ...rest } = push;
    if (whole === undefined) return { own: push, packed: null };
    let packed = this.#packed.get(whole);
    if (packed === undefined) {
      packed = piecesOf(encoder.encode(packText(JSON.stringify(whole))));
      this.#packed.set(whole, packed);
      this.#cancelForget ??= this.#clock.after(PACKED_KEPT_MS, () => {
        this.#cancelForget = null;
        this.#packed.clear();
      });
    }
    return { own: { ...rest, set: set.slice(0, set.length - whole.length) }, packed };
  }

  /** Resolves when it is the caller's turn, first come, first served; the function gives it back. */
  async turn(): Promise<() => void> {
    if (this.#sending < LARGE_PUSHES_MAX) this.#sending++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let over = false;
    const giveBack = () => {
      if (over) return;
      over = true;
      cancel();
      // The turn passes on, or ends.
      const next = this.#waiting.shift();
      if (next === undefined) this.#sending--;
      else next();
    };
    const cancel = this.#clock.after(TURN_MS, giveBack);
    return giveBack;
  }
}

function piecesOf(bytes: Uint8Array): readonly Uint8Array[] {
  const count = Math.ceil(bytes.length / PIECE_BYTES);
  return Array.from(
    { length: count },
    (_, index) => bytes.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES),
  );
}
