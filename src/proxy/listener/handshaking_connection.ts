/** An accepted TLS connection until its handshake is done and judged: then somebody else owns it, or it is closed. */
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import type { TlsWire, TlsWireOwner, Wire } from "../../runtime/wire.ts";
import { DEFAULT_LIMITS } from "../../model/limits.ts";
import { DRAIN_IDLE_MS } from "../http1/limits.ts";

/** Decides about the peer: hands the wire to another owner with `setOwner`, or terminates it. */
export type HandshakeJudge = (wire: TlsWire, error: Error | null) => void;

export class HandshakingConnection implements TlsWireOwner {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wire: Wire;
  readonly #wheel: TimerWheel;
  readonly #judge: HandshakeJudge;
  readonly #onOver: (connection: HandshakingConnection) => void;

  #closed = false;
  #draining = false;

  /** `onOver`: the handshake is done, or the wire is closed. `timeoutMs`: it must be done within this. */
  constructor(
    wire: Wire,
    wheel: TimerWheel,
    judge: HandshakeJudge,
    onOver: (connection: HandshakingConnection) => void = () => {},
    timeoutMs = DEFAULT_LIMITS.tlsHandshakeMs,
  ) {
    this.#wire = wire;
    this.#wheel = wheel;
    this.#judge = judge;
    this.#onOver = onOver;
    wheel.set(this, timeoutMs);
  }

  onHandshake(wire: TlsWire, error: Error | null): void {
    // Closing fails the handshake too; of a flood that would be a line in the log each.
    if (this.#closed) return;
    this.#wheel.clear(this);
    this.#onOver(this);
    // So does the peer that leaves, of whom nothing is known: most often it looked whether the port is open.
    if ((error as NodeJS.ErrnoException | null)?.code === "ECONNRESET") return wire.terminate();
    this.#judge(wire, error);
  }

  /** Bytes before the handshake is judged are nobody's. */
  onData(): void {
    this.#wire.terminate();
  }

  onDrain(): void {}

  onEnd(): void {
    this.#wire.terminate();
  }

  onClose(): void {
    this.#wheel.clear(this);
    this.#onOver(this);
  }

  close(): void {
    this.#closed = true;
    this.#wire.terminate();
  }

  /** A handshake that is under way may end in the next moment, and then the connection drains. */
  drain(): void {
    this.#draining = true;
    this.#wheel.set(this, DRAIN_IDLE_MS);
  }

  onDeadline(): void {
    if (!this.#draining) return this.close();
    this.#closed = true;
    this.#wire.end();
    this.#onOver(this);
  }
}
