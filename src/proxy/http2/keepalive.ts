/**
 * Finds out that the peer of a connection is gone although nobody closed it: a machine that lost its power or its network
 * sends no FIN. Where streams are open and nothing came for a while, a PING asks for a sign of life (RFC 9113 §6.7), as
 * Envoy's `connection_keepalive` and Istio's `http2KeepAlive` do.
 */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";

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
  #state: "listening" | "silent" | "asked" = "listening";

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
    if (this.#state === "asked") this.#kept.onLost();
    else if (this.#whenIdle || this.#kept.isBusy) this.#ask();
    else this.#state = "silent";
  }

  #ask(): void {
    this.#state = "asked";
    this.#kept.ping();
    this.#wheel.set(this, this.#timeoutMs);
  }
}
