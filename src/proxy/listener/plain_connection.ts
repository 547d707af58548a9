/** An accepted plain connection until its first bytes tell what it speaks: HTTP/2 by its preface, else HTTP/1. */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import { setOwner, type Wire, type WireOwner } from "../../runtime/socket.ts";
import { HEAD_TIMEOUT_MS, IDLE_TIMEOUT_MS } from "../http1/limits.ts";
import { PREFACE } from "../http2/frames.ts";

/** Who owns the connection from now on. */
export interface PlainProtocols {
  http1(wire: Wire): WireOwner;
  http2(wire: Wire): WireOwner;
}

export class PlainConnection implements WireOwner, Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wire: Wire;
  readonly #wheel: TimerWheel;
  readonly #protocols: PlainProtocols;
  readonly #onOver: (connection: PlainConnection) => void;
  /** What came while it could still be either. */
  #seen: Buffer | null = null;

  /** `onOver`: the wire has another owner, or is closed. */
  constructor(
    wire: Wire,
    wheel: TimerWheel,
    protocols: PlainProtocols,
    onOver: (connection: PlainConnection) => void,
  ) {
    this.#wire = wire;
    this.#wheel = wheel;
    this.#protocols = protocols;
    this.#onOver = onOver;
    wheel.set(this, IDLE_TIMEOUT_MS);
  }

  onData(chunk: Buffer): void {
    const seen = this.#seen === null ? chunk : Buffer.concat([this.#seen, chunk]);
    const length = Math.min(seen.length, PREFACE.length);
    const isPreface = seen.compare(PREFACE, 0, length, 0, length) === 0;
    if (isPreface && length < PREFACE.length) {
      if (this.#seen === null) this.#wheel.set(this, HEAD_TIMEOUT_MS);
      this.#seen = seen;
      return;
    }
    this.#wheel.clear(this);
    this.#onOver(this);
    const owner = isPreface ? this.#protocols.http2(this.#wire) : this.#protocols.http1(this.#wire);
    setOwner(this.#wire, owner);
    owner.onData(seen);
  }

  onDrain(): void {}

  onEnd(): void {
    this.#wire.end();
  }

  onClose(): void {
    this.#wheel.clear(this);
    this.#onOver(this);
  }

  close(): void {
    this.#wire.terminate();
  }

  onDeadline(): void {
    this.#wire.end();
  }
}
