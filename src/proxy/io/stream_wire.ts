/**
 * A tunnel's bytes as a wire, so that whoever reads connections can read what is inside it. It plays the part of the
 * exchange behind the tunnel; what has been written is copied, since writers use their buffers again.
 */
import { NOBODY, type Wire, type WireOwner } from "../../runtime/wire.ts";
import { BODY_LENGTH_UNKNOWN, type ServerHandler, type ServerStream } from "../exchange.ts";

export class StreamWire implements Wire, ServerHandler {
  /** Where `setOwner` puts it. */
  data: WireOwner = NOBODY;
  readonly remoteAddress: string;
  readonly remotePort = 0;
  readonly localAddress = "";
  readonly localPort = 0;
  readonly #stream: ServerStream;
  /** The stream asked to wait. */
  #full = false;
  #peerEnded = false;
  #ended = false;
  #closed = false;

  /** `remoteAddress` is that of the tunnel's other end. The tunnel opens once this callback is over. */
  constructor(stream: ServerStream, remoteAddress: string) {
    this.#stream = stream;
    this.remoteAddress = remoteAddress;
    queueMicrotask(() => {
      if (!this.#closed) stream.respond({ status: 200, headers: [], bodyLength: BODY_LENGTH_UNKNOWN });
    });
  }

  // The wire.

  write(data: Uint8Array, offset = 0, length = data.length - offset): number {
    if (this.#closed || this.#ended) return -1;
    if (this.#full) return 0;
    this.#full = !this.#stream.body(data.slice(offset, offset + length));
    return length;
  }

  end(): void {
    this.shutdown();
    if (this.#peerEnded && !this.#closed) this.#close();
  }

  shutdown(): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    this.#stream.end(null);
  }

  terminate(): void {
    if (this.#closed) return;
    this.#stream.reset();
    this.#close();
  }

  pause(): void {
    if (!this.#closed) this.#stream.pauseRequest();
  }

  resume(): void {
    if (!this.#closed) this.#stream.resumeRequest();
  }

  // From the tunnel.

  onRequestBody(chunk: Uint8Array): void {
    if (!this.#closed) this.data.onData(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  }

  onRequestEnd(): void {
    if (this.#closed) return;
    this.#peerEnded = true;
    if (this.#ended) this.#close();
    else this.data.onEnd();
  }

  onDownstreamReset(): void {
    if (!this.#closed) this.#close(new Error("The tunnel was reset"));
  }

  onDownstreamWritable(): void {
    this.#full = false;
    if (!this.#closed) this.data.onDrain();
  }

  #close(error?: Error): void {
    this.#closed = true;
    this.data.onClose(error);
  }
}
