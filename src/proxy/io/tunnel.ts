/**
 * A connection that carries bytes and nothing else: what an HTTP/1 connection becomes after 101 or an accepted CONNECT,
 * and what a TCP upstream is from the start. Each half ends on its own.
 */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import type { Wire, WireOwner } from "../../runtime/wire.ts";
import type { ResetReason } from "../exchange.ts";
import type { ByteWriter } from "./byte_writer.ts";

/** Hears what comes out of the tunnel. */
export interface TunnelSink {
  onBytes(chunk: Uint8Array): void;
  /** The peer sends no more; it may still receive. */
  onBytesEnd(): void;
  /** The tunnel broke before both halves had ended. */
  onBroken(reason: ResetReason): void;
  /** Called once, and last. */
  onGone(): void;
}

export class Tunnel implements WireOwner, Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #wire: Wire;
  readonly #writer: ByteWriter;
  readonly #wheel: TimerWheel;
  readonly #idleMs: number;
  readonly #sink: TunnelSink;
  #localEnded = false;
  #peerEnded = false;
  #paused = false;
  #gone = false;

  /**
   * The writer may have something to say yet. The caller makes the tunnel the wire's owner. `idleMs`: it is reset when
   * nothing moved in it for so long; 0: it never is.
   */
  constructor(wire: Wire, writer: ByteWriter, wheel: TimerWheel, idleMs: number, sink: TunnelSink) {
    this.#wire = wire;
    this.#writer = writer;
    this.#wheel = wheel;
    this.#idleMs = idleMs;
    this.#sink = sink;
    this.#touch();
  }

  /** False: pause the source until the writer's `onWritable`. */
  send(chunk: Uint8Array): boolean {
    if (this.#gone || this.#localEnded) return true;
    this.#touch();
    const room = this.#writer.bytes(chunk);
    this.#writer.flushSoon();
    return room;
  }

  /** No more bytes from this side. */
  finish(): void {
    if (this.#gone || this.#localEnded) return;
    this.#localEnded = true;
    this.#writer.flush();
    this.#shutdownWhenSent();
  }

  /** Breaks the tunnel, so that the peer sees a reset and no end. */
  reset(): void {
    if (this.#gone) return;
    this.#leave();
    this.#wire.terminate();
  }

  pause(): void {
    if (this.#paused || this.#gone) return;
    this.#paused = true;
    this.#wire.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#gone) this.#wire.resume();
  }

  onData(chunk: Buffer): void {
    if (this.#gone) return;
    this.#touch();
    this.#sink.onBytes(chunk);
  }

  onDrain(): void {
    this.#writer.onDrain();
    if (this.#localEnded) this.#shutdownWhenSent();
  }

  onEnd(): void {
    if (this.#gone || this.#peerEnded) return;
    this.#peerEnded = true;
    this.#sink.onBytesEnd();
    if (this.#localEnded) this.#shutdownWhenSent();
  }

  onClose(error?: Error): void {
    if (this.#gone) return;
    if (error === undefined && this.#localEnded) this.onEnd();
    const whole = this.#localEnded && this.#peerEnded;
    this.#leave();
    if (!whole) this.#sink.onBroken("closed");
  }

  onDeadline(): void {
    if (this.#gone) return;
    this.reset();
    this.#sink.onBroken("timeout");
  }

  #shutdownWhenSent(): void {
    if (this.#gone || this.#writer.unsent > 0) return;
    if (this.#peerEnded) this.#wire.end();
    else this.#wire.shutdown();
  }

  #leave(): void {
    this.#gone = true;
    this.#wheel.clear(this);
    this.#writer.close();
    this.#sink.onGone();
  }

  #touch(): void {
    if (this.#idleMs > 0) this.#wheel.set(this, this.#idleMs);
  }
}
