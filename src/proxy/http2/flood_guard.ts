/**
 * Counts what an honest peer does rarely and a flood does all the time. Each question answers true when the peer has
 * gone too far; the numbers are those of limits.ts (Envoy's, where it has them).
 */
import {
  CONTROL_FRAMES_IDLE_MAX,
  CONTROL_FRAMES_IDLE_MS,
  EMPTY_DATA_FRAMES_MAX,
  PREMATURE_RESETS_MAX,
  PRIORITY_FRAMES_PER_STREAM_MAX,
  STRAY_FRAMES_MAX,
  WINDOW_UPDATES_EXTRA_MAX,
} from "./limits.ts";

export class FloodGuard {
  /** Streams that the peer, or we, opened. */
  streamsOpened = 0;
  #controlInARow = 0;
  #controlSinceMs = 0;
  #dataSent = 0;
  #emptyData = 0;
  #priority = 0;
  #windowUpdates = 0;
  #prematureResets = 0;
  #stray = 0;

  /** A frame that carries something: the peer does more than keep us busy. */
  useful(): void {
    this.#controlInARow = 0;
    this.#emptyData = 0;
    this.#stray = 0;
  }

  /** `dataSent` as in windowUpdate(): a peer that only listens and pings is as useful as one that talks. */
  control(dataSent: number, nowMs: number): boolean {
    if (dataSent !== this.#dataSent || nowMs - this.#controlSinceMs > CONTROL_FRAMES_IDLE_MS) {
      this.#dataSent = dataSent;
      this.#controlSinceMs = nowMs;
      this.#controlInARow = 0;
    }
    return ++this.#controlInARow > CONTROL_FRAMES_IDLE_MAX;
  }

  emptyData(): boolean {
    return ++this.#emptyData > EMPTY_DATA_FRAMES_MAX;
  }

  priority(): boolean {
    return ++this.#priority > PRIORITY_FRAMES_PER_STREAM_MAX * (1 + this.streamsOpened);
  }

  /** `dataSent`: what there is to be credited, as FrameWriter counts it. */
  windowUpdate(dataSent: number): boolean {
    return ++this.#windowUpdates > WINDOW_UPDATES_EXTRA_MAX + 2 * (this.streamsOpened + 10 * dataSent);
  }

  /** A stream was reset soon, before its response had begun. */
  prematureReset(): boolean {
    return ++this.#prematureResets > PREMATURE_RESETS_MAX;
  }

  /** Whether a peer that counts as we do still bears one more of ours, and as many again. */
  get mayResetEarly(): boolean {
    return this.#prematureResets < PREMATURE_RESETS_MAX / 2;
  }

  /** A response ended as it should: what was held against the peer weighs less. */
  completed(): void {
    if (this.#prematureResets > 0) this.#prematureResets--;
  }

  stray(): boolean {
    return ++this.#stray > STRAY_FRAMES_MAX;
  }
}
