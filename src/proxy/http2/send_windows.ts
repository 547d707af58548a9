/** What the peer lets us send (RFC 9113 §5.2): its windows for the connection and for streams, and who waits for them. */
import { DEFAULT_WINDOW_BYTES, WINDOW_BYTES_MAX } from "./frames.ts";
import type { FrameWriter } from "./frame_writer.ts";
import type { Http2Stream } from "./stream.ts";

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
   * Sends bytes from `from` on, as many as windows and socket allow, and END_STREAM with the last if asked. Returns how
   * many.
   */
  send(stream: Http2Stream, chunk: Uint8Array, from: number, last: boolean): number {
    let position = from;
    do {
      const left = chunk.length - position;
      const size = Math.min(left, this.#connection, stream.sendWindow, this.#frames.frameBytesMax);
      if (size <= 0 && left > 0) break;
      const piece = size === chunk.length ? chunk : chunk.subarray(position, position + size);
      this.#frames.data(stream.id, piece, last && size === left);
      this.#connection -= size;
      stream.sendWindow -= size;
      position += size;
    } while (position < chunk.length && this.#hasRoom());
    return position - from;
  }

  /** The stream waits until windows and socket allow more. */
  block(stream: Http2Stream): void {
    this.#blocked.add(stream);
  }

  forget(stream: Http2Stream): void {
    this.#blocked.delete(stream);
  }

  isBlocked(stream: Http2Stream): boolean {
    return this.#blocked.has(stream);
  }

  /** Gives each stream that waits its turn. */
  flush(): void {
    for (const stream of [...this.#blocked]) {
      if (!this.#hasRoom()) return;
      if (stream.closed || !stream.flushPending()) continue;
      this.#blocked.delete(stream);
      if (stream.full && !stream.closed) {
        stream.full = false;
        stream.onWritable();
      }
    }
  }
}
