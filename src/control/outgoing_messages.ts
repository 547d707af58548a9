/**
 * The sending half of a discovery stream: messages as bytes, made piece by piece as the peer takes them. Of a snapshot
 * that thousands of proxies are sent at once there is one copy, resource by resource, and not one for each of them.
 */
import type { VersionedResource } from "../model/snapshot.ts";
import type { OutgoingMessage } from "../pilot/discovery_session.ts";
import { type LargePushes, type PackedPush, PIECE_BYTES } from "./large_pushes.ts";

const encoder = new TextEncoder();
const COMMA = 0x2c;

/** The JSON of each resource, for as long as the resource is in some snapshot. */
const encodedResources = new WeakMap<VersionedResource, Uint8Array>();

export class OutgoingMessages {
  /** The bytes of all messages, one line each; ends after `end()`. */
  readonly stream: ReadableStream<Uint8Array>;
  readonly #largePushes: LargePushes;
  readonly #waiting: OutgoingMessage[] = [];
  /** The pieces of the message that is being sent. */
  #pieces: Iterator<Uint8Array> | null = null;
  /** Gives back the turn of a large push. */
  #done: () => void = () => {};
  /** The peer reads `packed`. */
  unpacks = false;
  #ended = false;
  #cancelled = false;
  #wake: () => void = () => {};

  /** `onCancel` is called when nobody reads any more. */
  constructor(largePushes: LargePushes, onCancel: () => void) {
    this.#largePushes = largePushes;
    this.stream = new ReadableStream<Uint8Array>({
      pull: (controller) => this.#pull(controller),
      cancel: () => {
        this.#cancelled = true;
        this.#waiting.length = 0;
        this.#done();
        this.#wake();
        onCancel();
      },
    }, { highWaterMark: 0 });
  }

  send(message: OutgoingMessage): void {
    if (this.#ended || this.#cancelled) return;
    // Behind something that waits, a sign of life is none.
    if (message.type === "heartbeat" && (this.#pieces !== null || this.#waiting.length > 0)) return;
    this.#waiting.push(message);
    this.#wake();
  }

  /** Ends the stream after what was sent. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    for (;;) {
      const piece = this.#pieces?.next();
      if (piece?.done === false) return controller.enqueue(piece.value);
      this.#pieces = null;
      this.#done();
      this.#done = () => {};
      const message = this.#waiting.shift();
      if (message !== undefined) await this.#begin(message);
      else if (this.#ended) return controller.close();
      else if (this.#cancelled) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async #begin(message: OutgoingMessage): Promise<void> {
    if (message.type !== "push") {
      this.#pieces = [line(JSON.stringify(message))].values();
      return;
    }
    const isLarge = this.#largePushes.isLarge(message);
    if (isLarge) {
      this.#done = await this.#largePushes.turn();
      if (this.#cancelled) return this.#done();
    }
    const packs = isLarge && this.unpacks;
    this.#pieces = pushPieces(packs ? this.#largePushes.packed(message) : { own: message, packed: null });
  }
}

/** The push as JSON and the end of the line; a piece is handed on when it has its size, or a resource more. */
function* pushPieces({ own: { nonce, base, set, remove }, packed }: PackedPush): Generator<Uint8Array> {
  // A member that is undefined is left out.
  const head = JSON.stringify({ type: "push", nonce, base, remove });
  let parts: Uint8Array[] = [encoder.encode(`${head.slice(0, -1)},"set":[`)];
  let bytes = 0;
  for (const [index, resource] of set.entries()) {
    const encoded = resourceBytes(resource);
    if (index > 0) parts.push(Uint8Array.of(COMMA));
    parts.push(encoded);
    bytes += encoded.length;
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.concat(parts);
    parts = [];
    bytes = 0;
  }
  if (packed !== null) {
    // Base64 is text that JSON has as it is.
    parts.push(encoder.encode('],"packed":"'));
    yield Buffer.concat(parts);
    yield* packed;
    parts = [encoder.encode('"')];
  } else parts.push(encoder.encode("]"));
  parts.push(line("}"));
  yield Buffer.concat(parts);
}

function resourceBytes(resource: VersionedResource): Uint8Array {
  let encoded = encodedResources.get(resource);
  if (encoded === undefined) {
    encoded = encoder.encode(JSON.stringify(resource));
    encodedResources.set(resource, encoded);
  }
  return encoded;
}

function line(text: string): Uint8Array {
  return encoder.encode(`${text}\n`);
}
