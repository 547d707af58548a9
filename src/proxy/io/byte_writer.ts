/**
 * The sending half of a connection: gathers small pieces into one write, keeps what the socket did not take, and says
 * when its owner should stop. All codecs write through it.
 */
import { putBytes } from "../../lib/bytes.ts";
import { writeLatin1 } from "../../lib/latin1.ts";
import { afterCallback, afterTurn } from "../../lib/turn.ts";
import type { Wire } from "../../runtime/wire.ts";
import { isMostOfItsBuffer } from "./kept_share.ts";

/** Size of a gathering buffer: four records of TLS, which Bun gives to the kernel in one call if it gets them in one. */
const BUFFER_BYTES = 64 * 1024;

/**
 * Larger pieces go to the socket as they are; smaller ones, and so what is in a frame, are copied: to copy 16 KiB costs a
 * seventh of what it costs to send them by themselves.
 */
const COPY_BYTES_MAX = 16 * 1024;
/** Pieces up to this size are not divided among two buffers. */
const WHOLE_BYTES_MAX = COPY_BYTES_MAX / 4;

/** With more than this unsent, `body()` answers false and its source must pause until `onWritable`. */
export const WRITE_HIGH_WATER_BYTES = 64 * 1024;

/** Free gathering buffers kept for reuse; idle connections hold none. */
const FREE_BUFFERS_MAX = 16;
const freeBuffers: Buffer[] = [];

const NOTHING: Buffer = Buffer.alloc(0);

/** When a writer sends what it gathered: after the callback that wrote, or when every ready socket has been heard. */
export type GatherUntil = "callback" | "turn";

/** Writers with something to send, and the moment at which they do. */
class FlushQueue {
  readonly #writers: ByteWriter[] = [];
  readonly #schedule: (flush: () => void) => void;

  constructor(schedule: (flush: () => void) => void) {
    this.#schedule = schedule;
  }

  add(writer: ByteWriter): void {
    if (this.#writers.push(writer) === 1) this.#schedule(this.#flush);
  }

  readonly #flush = (): void => {
    const writers = this.#writers;
    let done = 0;
    try {
      // A flush may wake a source that makes another writer dirty: the list can grow on the way.
      while (done < writers.length) (writers[done++] as ByteWriter).flush();
    } finally {
      if (done === writers.length) {
        writers.length = 0;
      } else {
        // An error in one connection: the others still go on.
        writers.splice(0, done);
        this.#schedule(this.#flush);
      }
    }
  };
}

const flushQueues: Readonly<Record<GatherUntil, FlushQueue>> = {
  callback: new FlushQueue(afterCallback),
  turn: new FlushQueue(afterTurn),
};

export class ByteWriter {
  readonly #wire: Wire;
  readonly #onWritable: () => void;
  /** Being filled: bytes start … end wait to be sent. */
  #buffer: Buffer = NOTHING;
  #start = 0;
  #end = 0;
  /** Sent before `#buffer`; the first from `#queueOffset` on. */
  readonly #queue: Uint8Array[] = [];
  #queueOffset = 0;
  #queueBytes = 0;
  /** The socket took less than it was given: wait for its drain. */
  #blocked = false;
  #full = false;
  #closed = false;
  #dirty = false;

  /** May change as long as nothing is gathered. */
  gather: GatherUntil;

  /** `onWritable` is called after a refused `bytes` once everything is sent. */
  constructor(wire: Wire, onWritable: () => void, gather: GatherUntil = "callback") {
    this.#wire = wire;
    this.#onWritable = onWritable;
    this.gather = gather;
  }

  /** False after a refused `bytes`, until `onWritable`. */
  get hasRoom(): boolean {
    return !this.#full;
  }

  /** Bytes that are not with the socket yet. */
  get unsent(): number {
    return this.#queueBytes + this.#end - this.#start;
  }

  /** Whether so much is unsent that the socket does not take; its drain will come. */
  holdsMoreThan(bytes: number): boolean {
    if (this.unsent <= bytes) return false;
    this.flush();
    return this.unsent > bytes;
  }

  /** Appends a string of Latin-1 characters. */
  text(text: string): void {
    const buffer = this.#reserve(text.length);
    this.#end = writeLatin1(buffer, this.#end, text);
  }

  /** Appends `name: value` and the end of the line. */
  field(name: string, value: string): void {
    const buffer = this.#reserve(name.length + value.length + 4);
    let end = writeLatin1(buffer, this.#end, name);
    buffer[end++] = 0x3a;
    buffer[end++] = 0x20;
    end = writeLatin1(buffer, end, value);
    buffer[end++] = 0x0d;
    buffer[end++] = 0x0a;
    this.#end = end;
  }

  crlf(): void {
    this.uint16(0x0d0a);
  }

  octet(value: number): void {
    const buffer = this.#reserve(1);
    buffer[this.#end++] = value;
  }

  /** In network order, as the others. */
  uint16(value: number): void {
    const buffer = this.#reserve(2);
    buffer[this.#end++] = value >>> 8;
    buffer[this.#end++] = value;
  }

  uint32(value: number): void {
    const buffer = this.#reserve(4);
    buffer[this.#end++] = value >>> 24;
    buffer[this.#end++] = value >>> 16;
    buffer[this.#end++] = value >>> 8;
    buffer[this.#end++] = value;
  }

  /** Appends the bytes at `from` … `to`, which may change afterwards. */
  copy(source: Buffer, from: number, to: number): void {
    const buffer = this.#reserve(to - from);
    this.#end += source.copy(buffer, this.#end, from, to);
  }

  /** Appends bytes; the caller must not change them afterwards. False: pause the source until `onWritable`. */
  bytes(chunk: Uint8Array): boolean {
    if (chunk.length <= COPY_BYTES_MAX) {
      this.#gather(chunk);
    } else {
      this.#seal();
      this.#queue.push(chunk);
      this.#queueBytes += chunk.length;
      // A large piece is worth its own write now: the sooner it is with the kernel, the less is held here.
      // Nobody is woken now: whoever writes is in the middle of it, and would write the same again.
      if (this.#queueBytes > WRITE_HIGH_WATER_BYTES && this.#send() && this.#full) this.flushSoon();
    }
    if (this.unsent <= WRITE_HIGH_WATER_BYTES) return true;
    if (this.#blocked) this.#detach();
    this.#full = true;
    return false;
  }

  #gather(chunk: Uint8Array): void {
    let rest = chunk;
    const room = this.#buffer.length - this.#end;
    if (rest.length > room && rest.length > WHOLE_BYTES_MAX && room > 0) {
      this.#buffer.set(rest.subarray(0, room), this.#end);
      this.#end += room;
      rest = rest.subarray(room);
    }
    const buffer = this.#reserve(rest.length);
    putBytes(rest, buffer, this.#end);
    this.#end += rest.length;
  }

  /** What waits for a peer that does not read must not keep alive the much larger buffers that it is a part of. */
  #detach(): void {
    this.#queue.forEach((piece, i) => {
      if (!isMostOfItsBuffer(piece)) this.#queue[i] = new Uint8Array(piece);
    });
  }

  /** Sends when the callback, or the turn, is over, so that what belongs together leaves in one write. */
  flushSoon(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    flushQueues[this.gather].add(this);
  }

  /** Gives everything to the socket, as far as it takes it. */
  flush(): void {
    this.#dirty = false;
    if (!this.#send() || !this.#full) return;
    this.#full = false;
    this.#onWritable();
  }

  /** To be called from the connection's `onDrain`. */
  onDrain(): void {
    this.#blocked = false;
    this.flush();
  }

  /** Forgets what is unsent: the connection is gone. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.#queueBytes = 0;
    this.#release();
  }

  /** True: nothing is left. */
  #send(): boolean {
    if (this.#blocked || this.#closed) return false;
    if (this.#queue.length > 0 && !this.#sendQueue()) return false;
    if (this.#end > this.#start && !this.#sendGathered()) return false;
    this.#release();
    return true;
  }

  /** True: the buffer is free. */
  #sendGathered(): boolean {
    const length = this.#end - this.#start;
    const taken = this.#wire.write(this.#buffer, this.#start, length);
    if (taken < 0) {
      this.close();
      return false;
    }
    if (taken < length) {
      this.#start += taken;
      this.#blocked = true;
      return false;
    }
    this.#start = 0;
    this.#end = 0;
    return true;
  }

  #sendQueue(): boolean {
    while (this.#queue.length > 0) {
      const chunk = this.#queue[0] as Uint8Array;
      const length = chunk.length - this.#queueOffset;
      const taken = this.#wire.write(chunk, this.#queueOffset, length);
      if (taken < 0) {
        this.close();
        return false;
      }
      this.#queueBytes -= taken;
      if (taken < length) {
        this.#queueOffset += taken;
        this.#blocked = true;
        return false;
      }
      this.#queue.shift();
      this.#queueOffset = 0;
    }
    return true;
  }

  /** The buffer with room for `length` more bytes at `#end`. */
  #reserve(length: number): Buffer {
    if (this.#end + length <= this.#buffer.length) return this.#buffer;
    // A full buffer is worth its own write now, and is then free for what follows.
    const isNext = this.#queue.length === 0 && !this.#blocked && !this.#closed;
    if (isNext && this.#end > this.#start && this.#sendGathered() && length <= this.#buffer.length) {
      return this.#buffer;
    }
    this.#seal();
    this.#buffer = length <= BUFFER_BYTES
      ? freeBuffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
      : Buffer.allocUnsafeSlow(length);
    return this.#buffer;
  }

  /** Moves what was gathered to the queue, so that the order holds. */
  #seal(): void {
    if (this.#end > this.#start) {
      this.#queue.push(this.#buffer.subarray(this.#start, this.#end));
      this.#queueBytes += this.#end - this.#start;
      if (this.#queueBytes > WRITE_HIGH_WATER_BYTES) this.#full = true;
      this.#buffer = NOTHING;
      this.#start = 0;
      this.#end = 0;
    } else {
      this.#release();
    }
  }

  #release(): void {
    if (this.#buffer.length === BUFFER_BYTES && freeBuffers.length < FREE_BUFFERS_MAX) {
      freeBuffers.push(this.#buffer);
    }
    this.#buffer = NOTHING;
    this.#start = 0;
    this.#end = 0;
  }
}
