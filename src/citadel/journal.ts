/**
 * Lines of JSON that are only ever added to a file, in the order in which they came. A line is on the disk when its
 * append() resolves; lines that come while the disk is busy share the next write.
 */
import type { Clock } from "../lib/clock.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";

/** A journal that has grown beyond this is set aside as `NAME-TIME.jsonl`, and a new one begins. */
const JOURNAL_BYTES_MAX = 16 * 1024 * 1024;

const READ_BYTES_MAX = 1024 * 1024 * 1024;

export interface JournalOptions {
  /** Exists. */
  readonly directory: string;
  /** The file is `NAME.jsonl`. */
  readonly name: string;
  readonly files: PrivateFiles;
  readonly clock: Clock;
  /** @default JOURNAL_BYTES_MAX */
  readonly bytesMax?: number | undefined;
  /**
   * Lines of the old file that the new one begins with.
   * @default none
   */
  kept?(): readonly string[];
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #bytesMax: number;
  #bytes = 0;
  #setAsideAt: number;
  #endsInLine = true;
  /** Lines that wait for the disk; one write takes all. */
  #waiting: { lines: string[]; done: Promise<void> } | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(options: JournalOptions) {
    this.#options = options;
    this.#bytesMax = options.bytesMax ?? JOURNAL_BYTES_MAX;
    this.#setAsideAt = this.#bytesMax;
  }

  /** The journal, and the lines that it has. Throws PrivateFileError. */
  static async open(options: JournalOptions): Promise<{ journal: Journal; lines: string[] }> {
    const journal = new Journal(options);
    const bytes = await options.files.read(journal.#path, READ_BYTES_MAX) ?? new Uint8Array();
    const text = new TextDecoder().decode(bytes);
    journal.#bytes = bytes.length;
    journal.#endsInLine = text === "" || text.endsWith("\n");
    return { journal, lines: text.split("\n").filter((line) => line !== "") };
  }

  get #path(): string {
    return `${this.#options.directory}/${this.#options.name}.jsonl`;
  }

  /** Resolves when the line is on the disk, with others that came meanwhile; throws PrivateFileError. */
  async append(line: string): Promise<void> {
    if (this.#waiting === undefined) {
      const lines: string[] = [];
      // After the write before this one, whatever became of it.
      const done = this.#writing.then(() => {
        this.#waiting = undefined;
        return this.#write(lines);
      });
      this.#waiting = { lines, done };
      this.#writing = done.catch(() => {});
    }
    this.#waiting.lines.push(line);
    await this.#waiting.done;
  }

  async #write(lines: readonly string[]): Promise<void> {
    if (this.#bytes >= this.#setAsideAt) await this.#setAside();
    const text = `${this.#endsInLine ? "" : "\n"}${lines.join("\n")}\n`;
    const bytes = new TextEncoder().encode(text);
    try {
      await this.#options.files.append(this.#path, bytes);
      this.#endsInLine = true;
      this.#bytes += bytes.length;
    } catch (error) {
      // A part of it may be there.
      this.#endsInLine = false;
      throw error;
    }
  }

  /** The old file is safe under its new name before the new one takes its place: a crash between loses nothing. */
  async #setAside(): Promise<void> {
    const { directory, name, files, clock, kept } = this.#options;
    const all = await files.read(this.#path, READ_BYTES_MAX);
    if (all !== undefined) {
      const time = new Date(clock.now()).toISOString().replaceAll(":", "");
      await files.create(`${directory}/${name}-${time}.jsonl`, all);
    }
    const lines = (kept?.() ?? []).map((line) => `${line}\n`).join("");
    const bytes = new TextEncoder().encode(lines);
    await files.replace(this.#path, bytes);
    this.#bytes = bytes.length;
    this.#endsInLine = true;
    // What still counts alone may be long.
    this.#setAsideAt = Math.max(this.#bytesMax, bytes.length * 2);
  }
}
