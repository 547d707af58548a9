/** A plain connection above the cap: it asks something, is told to come again, and is closed. */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import type { Wire, WireOwner } from "../../runtime/wire.ts";
import { RETRY_AFTER_SECONDS } from "../local_reply.ts";

/** The peer gets this long to read the answer and close (RFC 9112 §9.6). */
export const REFUSAL_TIMEOUT_MS = 1_000;

/** 503 with the time to wait. */
export const HTTP1_REFUSAL: Uint8Array = new TextEncoder().encode(
  `HTTP/1.1 503 Service Unavailable\r\nretry-after: ${RETRY_AFTER_SECONDS}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
);

/** Empty SETTINGS, as every server begins, and GOAWAY: no stream was or will be processed (RFC 9113 §6.8). */
export const HTTP2_REFUSAL: Uint8Array = Uint8Array.of(
  ...[0, 0, 0, 0x4, 0, 0, 0, 0, 0],
  ...[0, 0, 8, 0x7, 0, 0, 0, 0, 0, ...[0, 0, 0, 0], ...[0, 0, 0, 0]],
);

export class RefusedConnection implements WireOwner, Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wire: Wire;
  readonly #wheel: TimerWheel;
  readonly #answer: Uint8Array;
  readonly #onOver: (connection: RefusedConnection) => void;
  #answered = false;

  constructor(
    wire: Wire,
    wheel: TimerWheel,
    answer: Uint8Array,
    onOver: (connection: RefusedConnection) => void,
  ) {
    this.#wire = wire;
    this.#wheel = wheel;
    this.#answer = answer;
    this.#onOver = onOver;
    wheel.set(this, REFUSAL_TIMEOUT_MS);
  }

  /** What the client says is of no interest, but unread it would cost it the answer. */
  onData(): void {
    if (this.#answered) return;
    this.#answered = true;
    // So few bytes fit into the buffer of any new socket.
    this.#wire.write(this.#answer);
    this.#wire.shutdown();
  }

  onDrain(): void {}

  onEnd(): void {
    this.#wire.end();
  }

  onClose(): void {
    this.#wheel.clear(this);
    this.#onOver(this);
  }

  onDeadline(): void {
    this.#wire.terminate();
  }

  /** Its end is near anyway. */
  drain(): void {}

  close(): void {
    this.#wire.terminate();
  }
}
