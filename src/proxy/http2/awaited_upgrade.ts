/** An upgrade for a peer that has yet to say whether it takes any (RFC 8441 §3), with the bytes that came for it. */
import type { ClientHandler, ClientStream, HeaderList, RequestHead, ResetReason } from "../exchange.ts";

export class AwaitedUpgrade implements ClientStream {
  readonly head: RequestHead;
  readonly #handler: ClientHandler;
  readonly #forget: (upgrade: AwaitedUpgrade) => void;
  #early: Uint8Array[] = [];
  #ended = false;
  #over = false;
  /** Null: it waits. */
  #stream: ClientStream | null = null;

  /** `forget`: nobody wants it any more. */
  constructor(handler: ClientHandler, head: RequestHead, forget: (upgrade: AwaitedUpgrade) => void) {
    this.#handler = handler;
    this.head = head;
    this.#forget = forget;
  }

  /** The peer takes it. */
  send(open: (handler: ClientHandler, head: RequestHead) => ClientStream): void {
    const stream = open(this.#handler, this.head);
    this.#stream = stream;
    let room = this.#early.length > 0;
    for (const chunk of this.#early) room = stream.body(chunk);
    this.#early = [];
    if (this.#ended) stream.end(null);
    else if (room) this.#handler.onUpstreamWritable();
  }

  /** The request was never sent. */
  refuse(reason: ResetReason): void {
    if (this.#over) return;
    this.#over = true;
    this.#handler.onUpstreamReset(reason, false);
  }

  body(chunk: Uint8Array): boolean {
    if (this.#stream !== null) return this.#stream.body(chunk);
    this.#early.push(chunk);
    return false;
  }

  end(trailers: HeaderList | null): void {
    this.#ended = true;
    this.#stream?.end(trailers);
  }

  reset(): void {
    this.#over = true;
    if (this.#stream !== null) this.#stream.reset();
    else this.#forget(this);
  }

  pauseResponse(): void {
    this.#stream?.pauseResponse();
  }

  resumeResponse(): void {
    this.#stream?.resumeResponse();
  }
}
