/** The body of a request as long as it may have to be sent again: to another endpoint, or as a copy. Bounded. */
import type { Limits } from "../../model/limits.ts";
import type { HeaderList } from "../exchange.ts";

/** What a proxy keeps of all its requests. */
export class ReplayBudget {
  bytes = 0;
  /** Bytes that are kept of one request; of a larger one nothing is, and it is not sent again. */
  readonly bytesMax: number;
  /** The same of all requests together; what comes on top is not sent again. */
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
    this.#chunks.push(chunk);
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

  /** It is not to be sent again. */
  release(): void {
    this.#lost = true;
    this.#budget.bytes -= this.#bytes;
    this.#bytes = 0;
    this.#chunks = [];
  }
}
