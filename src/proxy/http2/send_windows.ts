/** What the peer lets us send (RFC 9113 §5.2): its windows for the connection and for streams, and who waits for them. */
import { DEFAULT_WINDOW_BYTES, WINDOW_BYTES_MAX } from "./frames.ts";
import type { FrameWriter } from "./frame_writer.ts";
import type { Http2Stream } from "./stream.ts";

/** What a stream sends before it is the next one's turn. */
const TURN_BYTES = 16 * 1024;

export class SendWindows {
  /** What a new stream may send: the peer's SETTINGS_INITIAL_WINDOW_SIZE. */
  initial = DEFAULT_WINDOW_BYTES;
  readonly #frames: FrameWriter;
  readonly #hasRoom: () => boolean;
  #connection = DEFAULT_WINDOW_BYTES;
  /** Streams with something to send, or a source that waits, in the order of their turn. */
  readonly #blocked = new Set<Http2Stream>();

  /** `hasRoom`: the socket takes more. */
  constructor(frames: FrameWriter, hasRoom: () => boolean) {
    this.#frames = frames;
    this.#hasRoom = hasRoom;
  }

  /** False: the peer's setting overflows a window (§6.9.2). */
  setInitial(bytes: number, streams: Iterable<Http2Stream>): boolean {
    const change = bytes - this.initial;
    this.initial = bytes;
    for (const stream of streams) {
      stream.sendWindow += change;
      if (stream.sendWindow > WINDOW_BYTES_MAX) return false;
    }
    return true;
  }

  /** False: the window overflows. */
  grow(bytes: number): boolean {
    this.#connection += bytes;
    return this.#connection <= WINDOW_BYTES_MAX;
  }

  /**
   * Sends no more than `most` bytes, as many as windows and socket allow, and END_STREAM with the last if asked: with
   * nothing else, whatever they allow. Returns how many.
   */
  send(stream: Http2Stream, chunk: Uint8Array, most: number, last: boolean): number {
    const { length } = chunk;
    if (length === 0) this.#frames.data(stream.id, chunk, last);
    let position = 0;
    // Asked before each frame, the first one too: what the socket does not take is held here.
    while (position < length && this.#hasRoom()) {
      const left = length - position;
      const { frameBytesMax } = this.#frames;
      const size = Math.min(left, most - position, this.#connection, stream.sendWindow, frameBytesMax);
      if (size <= 0) break;
      this.#connection -= size;
      stream.sendWindow -= size;
      const piece = size === length ? chunk : chunk.subarray(position, position + size);
      this.#frames.data(stream.id, piece, last && size === left);
      position += size;
    }
    return position;
  }

  /** Bytes that would go out at once, in one frame. */
  roomFor(stream: Http2Stream): number {
    if (!this.#hasRoom()) return 0;
    return Math.min(this.#connection, stream.sendWindow, this.#frames.frameBytesMax);
  }

  /** The stream waits until windows and socket allow more. */
  block(stream: Http2Stream): void {
    this.#blocked.add(stream);
  }

  forget(stream: Http2Stream): void {
    // Called for every stream, and nearly always for nothing.
    if (this.#blocked.size > 0) this.#blocked.delete(stream);
  }

  isBlocked(stream: Http2Stream): boolean {
    return this.#blocked.has(stream);
  }

  /** Gives each stream that waits its turn, and another one while there is something to give. */
  flush(): void {
    for (const stream of this.#blocked) {
      if (!this.#hasRoom()) return;
      const sent = stream.flushPending(TURN_BYTES);
      if (stream.closed || sent === "nothing") continue;
      this.#blocked.delete(stream);
      if (sent === "some") {
        // At the end of the line, where this loop comes to it again.
        this.#blocked.add(stream);
      } else if (stream.full) {
        stream.full = false;
        stream.onWritable();
      }
    }
  }
}
