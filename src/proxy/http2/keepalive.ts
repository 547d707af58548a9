/**
 * Finds out that the peer of a connection is gone although nobody closed it: a machine that lost its power or its network
 * sends no FIN. Where streams are open and nothing came for a while, a PING asks for a sign of life (RFC 9113 §6.7), as
 * Envoy's `connection_keepalive` and Istio's `http2KeepAlive` do.
 */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";

/** An answer that takes longer is waited for, but whoever has another peer should ask that; a turn of ours takes milliseconds. */
export const DOUBT_MS = 1_000;

/** When a peer that says nothing is asked, and when it is given up after that. */
export interface KeepaliveTimes {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Whether it is asked even where nobody waits for it, so that what stands between does not forget the connection. */
  readonly whenIdle: boolean;
}

/** The connection that is watched. */
export interface Kept {
  /** Whether anybody waits for the peer. */
  readonly isBusy: boolean;
  ping(): void;
  /** The peer owes an answer for longer than it should; false: it has said something after all. */
  onDoubt(isDoubted: boolean): void;
  onLost(): void;
}

export class Keepalive implements Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wheel: TimerWheel;
  readonly #kept: Kept;
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #whenIdle: boolean;
  #state: "listening" | "silent" | "asked" | "doubted" = "listening";

  /** Silence after which the peer is asked, and after which it is given up. */
  constructor(wheel: TimerWheel, kept: Kept, { intervalMs, timeoutMs, whenIdle }: KeepaliveTimes) {
    this.#wheel = wheel;
    this.#kept = kept;
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    this.#whenIdle = whenIdle;
    this.heard();
  }

  /** Anything came: whatever it is, the peer lives. */
  heard(): void {
    if (this.#state === "doubted") this.#kept.onDoubt(false);
    this.#state = "listening";
    this.#wheel.set(this, this.#intervalMs);
  }

  /** A stream was opened, the connection is busy now. It may have been silent for long, which was no matter before. */
  streamOpened(): void {
    if (this.#state === "silent") this.#ask();
  }

  stop(): void {
    this.#wheel.clear(this);
  }

  onDeadline(): void {
    if (this.#state === "asked") this.#doubt();
    else if (this.#state === "doubted") this.#kept.onLost();
    else if (this.#whenIdle || this.#kept.isBusy) this.#ask();
    else this.#state = "silent";
  }

  #ask(): void {
    this.#state = "asked";
    this.#kept.ping();
    this.#wheel.set(this, Math.min(this.#timeoutMs, DOUBT_MS));
  }

  #doubt(): void {
    const leftMs = this.#timeoutMs - DOUBT_MS;
    if (leftMs <= 0) return this.#kept.onLost();
    this.#state = "doubted";
    this.#wheel.set(this, leftMs);
    this.#kept.onDoubt(true);
  }
}
