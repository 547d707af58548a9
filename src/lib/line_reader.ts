/** Splits a stream of bytes into lines of UTF-8 text, up to a limit: the framing of JSON lines. */

export class LineTooLongError extends Error {
  override readonly name = "LineTooLongError";

  constructor(readonly bytesMax: number) {
    super(`A line is longer than ${bytesMax} bytes`);
  }
}

const LINE_FEED = 0x0a;

export class LineReader {
  readonly #bytesMax: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The lines that this chunk completes, without their ends; empty ones are left out. Throws LineTooLongError. */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      this.#keep(chunk.subarray(start, end));
      if (this.#bytes > 0) lines.push(this.#take());
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.slice(start));
    return lines;
  }

  #keep(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#bytes > this.#bytesMax) throw new LineTooLongError(this.#bytesMax);
    this.#pieces.push(piece);
  }

  #take(): string {
    const decoder = new TextDecoder();
    const line = this.#pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") +
      decoder.decode();
    this.#pieces = [];
    this.#bytes = 0;
    return line;
  }
}
