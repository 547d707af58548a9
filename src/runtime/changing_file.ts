/** A small file that somebody replaces while the process runs, such as a certificate: read again when it is another one. */
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { FileError } from "./files.ts";

export class ChangingFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #state = "";
  #text: string | null = null;

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  /**
   * What it says now, in about 10 µs as long as nobody touched it. While it cannot be read, what it said last; throws
   * FileError when it never could.
   */
  read(): string {
    try {
      this.#refresh();
    } catch (error) {
      if (this.#text === null) {
        throw error instanceof FileError ? error : FileError.of("read", this.#path, error);
      }
    }
    return this.#text as string;
  }

  #refresh(): void {
    const descriptor = openSync(this.#path, "r");
    try {
      const { dev, ino, size, mtimeNs } = fstatSync(descriptor, { bigint: true });
      const state = `${dev} ${ino} ${size} ${mtimeNs}`;
      if (state === this.#state) return;
      if (size > this.#maxBytes) {
        const message = `Cannot read ${this.#path}: it is longer than ${this.#maxBytes} bytes`;
        throw new FileError("too-large", this.#path, message);
      }
      this.#text = readFileSync(descriptor, "utf8");
      this.#state = state;
    } finally {
      closeSync(descriptor);
    }
  }
}
