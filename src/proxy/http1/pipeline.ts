/** What a client sends behind the request in flight, and whether its connection is read on. */
import type { Wire } from "../../runtime/wire.ts";
import { isMostOfItsBuffer } from "../io/kept_share.ts";
import { PIPELINE_BYTES_MAX } from "./limits.ts";

export class Pipeline {
  readonly #wire: Wire;
  #bytes: Buffer | null = null;
  #paused = false;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  get isEmpty(): boolean {
    return this.#bytes === null;
  }

  /** Nothing is read before `take` once there is too much. */
  keep(bytes: Buffer): void {
    if (this.#bytes !== null) this.#bytes = Buffer.concat([this.#bytes, bytes]);
    else this.#bytes = isMostOfItsBuffer(bytes) ? bytes : Buffer.from(bytes);
    if (this.#isFull) this.pause();
  }

  /** What was kept, or null; it is kept no more. */
  take(): Buffer | null {
    const bytes = this.#bytes;
    this.#bytes = null;
    return bytes;
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#wire.pause();
  }

  /** Reads on, unless too much is kept. */
  resume(): void {
    if (!this.#paused || this.#isFull) return;
    this.#paused = false;
    this.#wire.resume();
  }

  get #isFull(): boolean {
    return this.#bytes !== null && this.#bytes.length > PIPELINE_BYTES_MAX;
  }
}
