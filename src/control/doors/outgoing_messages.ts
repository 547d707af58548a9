/**
 * The sending half of a discovery stream: messages as bytes, made piece by piece as the peer takes them. Of a snapshot
 * that thousands of proxies are sent at once there is one copy, resource by resource, and not one for each of them.
 */
import type { VersionedResource } from "../../model/snapshot.ts";
import type { OutgoingMessage, OutgoingPush } from "../../pilot/discovery/discovery_session.ts";
import type { ServerStream } from "../../proxy/exchange.ts";
import { type LargePushes, type PackedPush, PIECE_BYTES } from "./large_pushes.ts";

const encoder = new TextEncoder();
const COMMA = 0x2c;
const NOTHING = () => {};

/** The JSON of each resource, for as long as the resource is in some snapshot. */
const encodedResources = new WeakMap<VersionedResource, Uint8Array>();

export class OutgoingMessages {
  readonly #stream: Pick<ServerStream, "body" | "end">;
  readonly #largePushes: LargePushes;
  readonly #waiting: OutgoingMessage[] = [];
  /** The pieces of the message that is being sent. */
  #pieces: Iterator<Uint8Array> | null = null;
  /** Gives back the turn of a large push. */
  #done: () => void = NOTHING;
  /** The peer reads `packed`. */
  unpacks = false;
  /** Nothing is written before the peer has taken more, or before it is the next message's turn. */
  #isHeld = false;
  #ended = false;
  #over = false;

  constructor(stream: Pick<ServerStream, "body" | "end">, largePushes: LargePushes) {
    this.#stream = stream;
    this.#largePushes = largePushes;
  }

  send(message: OutgoingMessage): void {
    if (this.#ended || this.#over) return;
    // Behind something that waits, a sign of life is none.
    if (message.type === "heartbeat" && (this.#pieces !== null || this.#waiting.length > 0)) return;
    this.#waiting.push(message);
    this.#write();
  }

  /** Ends the stream after what was sent. */
  end(): void {
    this.#ended = true;
    this.#write();
  }

  /** The peer has taken what it had been sent. */
  onWritable(): void {
    // What waits for its turn goes on waiting.
    if (this.#pieces === null) return;
    this.#isHeld = false;
    this.#write();
  }

  /** Nobody reads any more. */
  cancel(): void {
    this.#over = true;
    this.#waiting.length = 0;
    this.#pieces = null;
    this.#endTurn();
  }

  #write(): void {
    while (!this.#isHeld && !this.#over) {
      const piece = this.#pieces?.next();
      if (piece?.done === false) {
        this.#isHeld = !this.#stream.body(piece.value);
        continue;
      }
      this.#pieces = null;
      this.#endTurn();
      const message = this.#waiting.shift();
      if (message !== undefined) this.#begin(message);
      else if (this.#ended) {
        this.#over = true;
        this.#stream.end(null);
      } else return;
    }
  }

  #endTurn(): void {
    this.#done();
    this.#done = NOTHING;
  }

  #begin(message: OutgoingMessage): void {
    if (message.type !== "push") {
      this.#pieces = [line(JSON.stringify(message))].values();
    } else if (!this.#largePushes.isLarge(message)) {
      this.#pieces = pushPieces({ own: message, packed: null });
    } else {
      this.#isHeld = true;
      void this.#largePushes.turn().then((done) => this.#beginLarge(message, done));
    }
  }

  #beginLarge(message: OutgoingPush, done: () => void): void {
    if (this.#over) return done();
    this.#done = done;
    this.#isHeld = false;
    const packed = this.unpacks ? this.#largePushes.packed(message) : { own: message, packed: null };
    this.#pieces = pushPieces(packed);
    this.#write();
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
