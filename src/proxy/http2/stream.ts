/** One stream of an HTTP/2 connection, either end: its states and windows. What its messages mean is told to a subclass. */
import type { Timed } from "../../lib/timer_wheel.ts";
import type { HeaderList, ResetReason } from "../exchange.ts";
import { ErrorCode } from "./frames.ts";
import { PendingBody } from "./pending_body.ts";
import { ReceiveWindow } from "./receive_window.ts";

/** What a stream asks of its connection. */
export interface StreamConnection {
  /** Of a new stream, for what the peer sends. */
  readonly streamWindowBytes: number;
  /** The socket takes more. */
  readonly hasRoom: boolean;
  readonly windows: {
    /** Bytes that the stream may send in one piece. */
    roomFor(stream: Http2Stream): number;
    /** The stream has more to send than it may. */
    block(stream: Http2Stream): void;
  };
  /** Something happens on it: the time that it may be quiet begins anew. */
  touch(stream: Http2Stream): void;
  resetStream(stream: Http2Stream, code: ErrorCode): void;
  /** Sends what the windows let through of `most` bytes; returns how many those were. */
  sendData(stream: Http2Stream, chunk: Uint8Array, most: number, last: boolean): number;
  sendTrailers(stream: Http2Stream, trailers: HeaderList): void;
  /** Our half is over. */
  endLocal(stream: Http2Stream): void;
  /** Lets the peer send as much as was read. */
  creditWindow(id: number, window: ReceiveWindow): void;
  /** Gives credit as creditWindow() does, and lets the window grow where it holds the peer up. */
  creditStream(id: number, window: ReceiveWindow): void;
}

export abstract class Http2Stream implements Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly id: number;
  protected readonly connection: StreamConnection;
  /** Bytes that the peer still takes. */
  sendWindow: number;
  /** From the first piece on that is not the last: most bodies are one piece, and need none. */
  #receiveWindow: ReceiveWindow | null = null;
  #paused = false;
  /** We ended our half. */
  localEnded = false;
  /** The peer ended its half. */
  remoteEnded = false;
  closed = false;
  /** The response to the peer has begun, or we asked: a reset ends a stream, as gRPC's cancellation does, and is no flood. */
  answered = false;
  /** Nothing that still comes on it is of interest, and its end is near. */
  lingering = false;
  /** Its deadline is that of the next bytes of its body, whatever else moves. */
  paced = false;
  /** The stream carries a tunnel: each half ends on its own. */
  tunnelling = false;
  /** Bytes of body still to come, by the peer's content-length; -1: it did not say. */
  expected = -1;
  /** Bytes of body still to go, by our own content-length; -1: not known. */
  protected remaining = -1;
  /** The last piece of a body of known length, held back for the end that follows. */
  #last: Uint8Array | null = null;
  /** What windows and socket do not let through yet; null as long as they let everything through. */
  #pending: PendingBody | null = null;
  #pendingEnd = false;
  #pendingTrailers: HeaderList | null = null;
  /** `body` answered false: the source waits. */
  full = false;

  constructor(connection: StreamConnection, id: number, sendWindow: number) {
    this.connection = connection;
    this.id = id;
    this.sendWindow = sendWindow;
  }

  /** A piece of the peer's body. */
  abstract onData(chunk: Uint8Array): void;
  abstract onEnd(trailers: HeaderList | null): void;
  /** The stream broke off; `processed` is false when the peer says that it did nothing with it. */
  abstract onReset(reason: ResetReason, processed: boolean): void;
  /** After `full`: the source may go on. */
  abstract onWritable(): void;
  /** Our half is over, the peer's is not. */
  onLocalEnd(): void {}

  /** From here on it may be as quiet as a tunnel. */
  openTunnel(): void {
    this.tunnelling = true;
    this.connection.touch(this);
  }

  onDeadline(): void {
    this.connection.resetStream(this, ErrorCode.Cancel);
    this.onReset("timeout", true);
  }

  // Sending.

  body(chunk: Uint8Array): boolean {
    if (this.closed || this.localEnded || this.#pendingEnd || chunk.length === 0) return true;
    if (this.remaining >= 0) this.remaining -= chunk.length;
    if (this.#last !== null) this.#releaseLast(this.#last);
    if (this.#pending !== null && this.#pending.bytes > 0) {
      this.#pending.push(chunk);
      return this.#wait();
    }
    // The length that the head promised is reached: the end that follows leaves in one frame with it.
    if (this.remaining === 0) {
      this.#last = chunk;
      return true;
    }
    const sent = this.connection.sendData(this, chunk, Infinity, false);
    if (sent === chunk.length && this.connection.hasRoom) return true;
    if (sent < chunk.length) (this.#pending ??= new PendingBody()).push(chunk.subarray(sent));
    return this.#wait();
  }

  end(trailers: HeaderList | null): void {
    if (this.closed || this.localEnded || this.#pendingEnd) return;
    this.#pendingEnd = true;
    this.#pendingTrailers = trailers;
    if (this.flushPending(Infinity) !== "all") this.connection.windows.block(this);
  }

  /** Sends no more than `most` bytes of what waits, as far as windows and socket allow. */
  flushPending(most: number): "all" | "some" | "nothing" {
    if (this.#last !== null && this.#endsWithBody && this.#sendLast(this.#last, most)) return "all";
    if (this.#last !== null) this.#releaseLast(this.#last);
    const pending = this.#pending;
    let left = most;
    while (pending !== null && pending.bytes > 0) {
      const chunk = pending.first;
      const last = this.#endsWithBody && chunk.length === pending.bytes;
      const sent = this.connection.sendData(this, chunk, left, last);
      pending.drop(sent);
      left -= sent;
      if (sent < chunk.length || (left === 0 && pending.bytes > 0)) return left < most ? "some" : "nothing";
      if (last) {
        this.connection.endLocal(this);
        return "all";
      }
    }
    if (this.#pendingEnd && !this.localEnded) this.#sendEnd();
    return "all";
  }

  /** The end follows what waits, without trailers. */
  get #endsWithBody(): boolean {
    return this.#pendingEnd && this.#pendingTrailers === null;
  }

  /** True: the held piece went out whole, and the end with it. */
  #sendLast(last: Uint8Array, most: number): boolean {
    if (last.length > Math.min(most, this.connection.windows.roomFor(this))) return false;
    this.connection.sendData(this, last, most, true);
    this.#last = null;
    this.connection.endLocal(this);
    return true;
  }

  /** The held piece has to wait its turn, or more than was promised comes after it. */
  #releaseLast(last: Uint8Array): void {
    this.#last = null;
    (this.#pending ??= new PendingBody()).hold(last);
  }

  #sendEnd(): void {
    if (this.#pendingTrailers !== null) this.connection.sendTrailers(this, this.#pendingTrailers);
    else this.connection.sendData(this, NOTHING, 0, true);
    this.connection.endLocal(this);
  }

  #wait(): false {
    this.full = true;
    this.connection.windows.block(this);
    return false;
  }

  /** Whether it is the peer that keeps back what we have to say. */
  protected get isHeldUp(): boolean {
    return this.full || this.#pendingEnd;
  }

  // Receiving.

  /** A piece of the peer's body, as long on the wire; false: more than the window allows. */
  takes(bytes: number, last: boolean): boolean {
    if (this.#receiveWindow === null) {
      const { streamWindowBytes } = this.connection;
      if (last) return bytes <= streamWindowBytes;
      this.#receiveWindow = new ReceiveWindow(streamWindowBytes);
    }
    return this.#receiveWindow.take(bytes);
  }

  /** What its window has grown by. */
  get windowGrowth(): number {
    return this.#receiveWindow === null ? 0 : this.#receiveWindow.grown;
  }

  /** Nobody takes what the peer says. */
  protected get isPaused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    // No more at once than before: it is the reader that is slow, not the way.
    if (this.#receiveWindow !== null && this.#mayCredit) {
      this.connection.creditWindow(this.id, this.#receiveWindow);
    }
  }

  /** What came was passed on: lets the peer send more, unless the reader waits. */
  credit(): void {
    if (this.#receiveWindow === null || !this.#mayCredit) return;
    if (this.lingering) this.connection.creditWindow(this.id, this.#receiveWindow);
    else this.connection.creditStream(this.id, this.#receiveWindow);
  }

  get #mayCredit(): boolean {
    return !this.#paused && !this.closed && !this.remoteEnded;
  }

  /** Lets go of everything: no byte goes out any more. */
  dropPending(): void {
    this.#last = null;
    this.#pending = null;
  }
}

const NOTHING = new Uint8Array(0);
