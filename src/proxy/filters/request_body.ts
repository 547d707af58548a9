/** The body of a request as long as it may have to be sent again: to another endpoint, or as a copy. Bounded. */
import type { Limits } from "../../model/limits.ts";
import type { HeaderList } from "../exchange.ts";
import { isMostOfItsBuffer } from "../io/kept_share.ts";

/** Smaller pieces are copied together: each by itself would cost a hundred times a byte. */
const GATHERED_BYTES_MAX = 4 * 1024;

/** What a proxy keeps of all its requests. */
export class ReplayBudget {
  bytes = 0;
  /** Bytes that are kept of one request; of a larger one nothing is, and it is not sent again. */
  readonly bytesMax: number;
  /** Bytes that are kept of all requests together; what comes on top is not sent again. */
  readonly totalBytesMax: number;

  constructor({ replayBytes, replayTotalBytes }: Pick<Limits, "replayBytes" | "replayTotalBytes">) {
    this.bytesMax = replayBytes;
    this.totalBytesMax = replayTotalBytes;
  }

  get isFull(): boolean {
    return this.bytes > this.totalBytesMax;
  }
}

export class RequestBody {
  readonly #budget: ReplayBudget;
  #chunks: Uint8Array[] = [];
  /** Where the last chunk stands, when it is of small pieces; null: it is none. */
  #gathered: Uint8Array | null = null;
  #bytes = 0;
  #lost = false;
  trailers: HeaderList | null = null;

  constructor(budget: ReplayBudget) {
    this.#budget = budget;
  }

  get chunks(): readonly Uint8Array[] {
    return this.#chunks;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Some of it was let go: it cannot be sent again. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Keeps a chunk, whatever the limits: nobody else has it. */
  hold(chunk: Uint8Array): void {
    if (chunk.length < GATHERED_BYTES_MAX) this.#gather(chunk);
    else this.#keep(chunk);
    this.#bytes += chunk.length;
    this.#budget.bytes += chunk.length;
  }

  /** All of it was sent: lets go of it if it is too much. */
  sent(): void {
    if (this.#bytes > this.#budget.bytesMax || this.#budget.isFull) this.release();
  }

  /** Keeps a chunk that was sent, if there is room for all of them. */
  remember(chunk: Uint8Array): void {
    if (this.#lost) return;
    this.hold(chunk);
    this.sent();
  }

  /** The body is not to be sent again: nothing of it is kept. */
  release(): void {
    this.#lost = true;
    this.#budget.bytes -= this.#bytes;
    this.#bytes = 0;
    this.#chunks = [];
    this.#gathered = null;
  }

  #keep(chunk: Uint8Array): void {
    this.#chunks.push(isMostOfItsBuffer(chunk) ? chunk : new Uint8Array(chunk));
    this.#gathered = null;
  }

  /** A piece may be one byte of all that came with it, which it would keep in memory: it is copied. */
  #gather(piece: Uint8Array): void {
    const last = this.#chunks.length - 1;
    const before = this.#gathered === null ? null : this.#chunks[last] as Uint8Array;
    if (before === null || before.length >= GATHERED_BYTES_MAX) {
      // Most bodies are one piece.
      this.#gathered = new Uint8Array(piece);
      this.#chunks.push(this.#gathered);
      return;
    }
    const bytes = before.length + piece.length;
    let gathered = this.#gathered as Uint8Array;
    if (bytes > gathered.length) {
      gathered = this.#gathered = new Uint8Array(2 * bytes);
      gathered.set(before);
    }
    gathered.set(piece, before.length);
    this.#chunks[last] = gathered.subarray(0, bytes);
  }
}
