/**
 * An HTTP/2 connection as bytes in time (RFC 9113 §3.4, §4): cuts them into frames, says when it has waited long enough,
 * when the socket takes more, and how a connection ends. What many streams write in one turn of the event loop leaves in
 * one write.
 */
import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import type { Limits } from "../../model/limits.ts";
import type { Wire, WireOwner } from "../../runtime/wire.ts";
import type { ResetReason } from "../exchange.ts";
import type { MeshHopLimits } from "../mesh_hop.ts";
import { ByteWriter } from "../io/byte_writer.ts";
import { type ConnectionError, protocolError } from "./connection_error.ts";
import { checkForm } from "./frame_form.ts";
import { type Frame, FrameReader } from "./frame_reader.ts";
import { FrameWriter } from "./frame_writer.ts";
import { ErrorCode, Flag, FrameType } from "./frames.ts";
import { HeaderBlock } from "./header_block.ts";
import { HEADER_BLOCK_EXTRA_BYTES, UNREAD_TIMEOUT_MS, UNSENT_BYTES_MAX } from "./limits.ts";

/** A peer that was told good-bye gets this long to take the last bytes. */
const ENDING_TIMEOUT_MS = 10_000;

export abstract class FramedWire implements WireOwner, Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  protected readonly wheel: TimerWheel;
  protected readonly writer: ByteWriter;
  readonly frames: FrameWriter;
  protected closed = false;
  protected readonly limits: Limits;
  /** Bytes that may wait for a peer that speaks and does not read. */
  protected readonly unsentBytesMax: number = UNSENT_BYTES_MAX;
  protected readonly block: HeaderBlock;
  /** Without a stream; 0: for ever. */
  protected idleTimeoutMs: number;
  readonly #wire: Wire;
  readonly #reader = new FrameReader();
  #settingsSeen = false;
  /** The header block, by their number, that is under way and has a deadline; -1: none. */
  #blockTimed = -1;
  /** GOAWAY is said, and the socket has yet to take the last bytes. */
  #ending = false;
  /** The peer is not read, since it does not read. */
  #held = false;

  /** `listBytesMax`: bytes of a header list of the peer's. */
  constructor(wire: Wire, wheel: TimerWheel, limits: Limits & Partial<MeshHopLimits>, listBytesMax: number) {
    this.limits = limits;
    this.idleTimeoutMs = limits.connectionIdleMs;
    this.block = new HeaderBlock(limits.headerBlockBytes ?? listBytesMax + HEADER_BLOCK_EXTRA_BYTES);
    this.#wire = wire;
    this.wheel = wheel;
    this.writer = new ByteWriter(wire, () => this.onRoom(), "turn");
    this.frames = new FrameWriter(this.writer);
  }

  /** A frame that is well formed and in its place. */
  protected abstract onFrame(frame: Frame): ConnectionError | null;
  /** The socket has taken all there was. */
  protected abstract onRoom(): void;
  /** The peer broke the rules; the connection is about to end. */
  protected abstract onBroken(details: string): void;
  /** The connection has ended. */
  protected abstract onClosed(reason: ResetReason): void;
  /** Whether there are streams. */
  abstract get isBusy(): boolean;
  /** The last stream of the peer's that was looked at. */
  protected abstract get lastPeerStreamId(): number;

  /** False while the frames have not begun. */
  protected readPreface(_reader: FrameReader): boolean {
    return true;
  }

  // From the wire.

  onData(chunk: Buffer): void {
    if (this.isOver) return;
    this.#reader.push(chunk);
    if (this.readPreface(this.#reader)) this.#read();
  }

  #read(): void {
    while (!this.isOver) {
      if (this.writer.holdsMoreThan(this.unsentBytesMax)) return this.#hold();
      const frame = this.#reader.next();
      if (frame === null) return this.#timeBlock();
      if (frame === "tooLarge") return this.fail(ErrorCode.FrameSizeError, "http2.frame_too_large");
      const error = this.#outOfPlace(frame) ?? this.onFrame(frame);
      if (error !== null) return this.fail(error.code, error.details);
    }
  }

  onDrain(): void {
    this.writer.onDrain();
    if (this.#ending && this.writer.unsent === 0) this.close("closed");
    else if (this.#held && !this.isOver) this.#goOn();
  }

  onEnd(): void {
    this.close("closed");
  }

  onClose(): void {
    this.close("closed");
  }

  onDeadline(): void {
    if (this.#ending) this.close("timeout");
    else if (this.#held) this.fail(ErrorCode.EnhanceYourCalm, "http2.unread_answers");
    else if (!this.#settingsSeen) this.fail(ErrorCode.SettingsTimeout, "http2.no_settings");
    else if (this.#blockTimed >= 0) this.fail(ErrorCode.EnhanceYourCalm, "http2.header_block_timeout");
    else if (this.isBusy) this.rest();
    else this.fail(ErrorCode.NoError, "http2.idle");
  }

  /** A new hour for an idle connection, unless something more urgent is awaited. */
  protected rest(): void {
    if (!this.#settingsSeen || this.#blockTimed >= 0 || this.#held) return;
    if (this.idleTimeoutMs === 0) this.wheel.clear(this);
    else this.wheel.set(this, this.idleTimeoutMs);
  }

  #outOfPlace(frame: Frame): ConnectionError | null {
    if (!this.#settingsSeen) {
      if (frame.type !== FrameType.Settings || frame.has(Flag.Ack)) {
        return protocolError("http2.no_settings_first");
      }
      this.#settingsSeen = true;
      this.rest();
    }
    const open = this.block.streamId;
    if (open !== 0 && (frame.type !== FrameType.Continuation || frame.streamId !== open)) {
      return protocolError("http2.interrupted_header_block");
    }
    return checkForm(frame);
  }

  /** A header block that has begun must be whole soon; the next one has a time of its own. */
  #timeBlock(): void {
    if (this.block.streamId === 0 && !this.#reader.midHeaders) {
      if (this.#blockTimed < 0) return;
      this.#blockTimed = -1;
      this.rest();
    } else if (this.#blockTimed !== this.block.done) {
      this.#blockTimed = this.block.done;
      this.wheel.set(this, this.limits.requestHeadersMs);
    }
  }

  /** A peer that asks and asks, and is slow to read what it is told: it may ask no more until it has read. */
  #hold(): void {
    if (!this.#held) this.#wire.pause();
    this.#held = true;
    this.wheel.set(this, UNREAD_TIMEOUT_MS);
  }

  /** The peer has read something. */
  #goOn(): void {
    if (this.writer.unsent > this.unsentBytesMax / 2) return this.#hold();
    this.#release();
    this.#blockTimed = -1;
    this.rest();
    this.#read();
  }

  #release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#wire.resume();
  }

  // Sending.

  /** The socket takes more. */
  get hasRoom(): boolean {
    return this.writer.hasRoom;
  }

  // Endings.

  /** Nothing that comes is of interest any more. */
  protected get isOver(): boolean {
    return this.closed || this.#ending;
  }

  /** GOAWAY with the reason, then the end of the connection; what was said before it still goes out. */
  protected fail(code: ErrorCode, details: string): void {
    if (this.isOver) return;
    this.frames.goAway(this.lastPeerStreamId, code);
    this.writer.flush();
    if (code !== ErrorCode.NoError) this.onBroken(details);
    else if (this.writer.unsent > 0) {
      this.#ending = true;
      this.#release();
      this.wheel.set(this, ENDING_TIMEOUT_MS);
      return;
    }
    this.close(code === ErrorCode.NoError ? "closed" : "protocol-error");
  }

  /** Ends everything now. */
  protected close(reason: ResetReason): void {
    if (this.closed) return;
    this.closed = true;
    this.wheel.clear(this);
    this.writer.close();
    // Its end would not be heard of otherwise.
    this.#release();
    this.#wire.end();
    this.onClosed(reason);
  }
}
