/** A clock of a process that a test sets ahead, by libfaketime: what happens after minutes then happens now. */
import { renameSync, writeFileSync } from "node:fs";

/**
 * libfaketime, for LD_PRELOAD. The command `faketime` fails where one that was killed once had the number of its process.
 * Throws where it is not installed.
 */
export function timeLibrary(): string {
  const [library] = new Bun.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1").scanSync();
  if (library === undefined) throw new Error("faketime is not installed: apt-get install faketime");
  return library;
}

export class ShiftedClock {
  readonly #file: string;

  /** `file` is where the process looks for the time. */
  constructor(file: string) {
    this.#file = file;
    this.set(0);
  }

  /** For the process. */
  get env(): Record<string, string> {
    return { LD_PRELOAD: timeLibrary(), FAKETIME_TIMESTAMP_FILE: this.#file, FAKETIME_NO_CACHE: "1" };
  }

  /** Both clocks of the process, that of the calendar and the one that only counts, are so much ahead. */
  set(aheadMs: number): void {
    writeFileSync(`${this.#file}~`, `+${aheadMs / 1_000}\n`);
    renameSync(`${this.#file}~`, this.#file);
  }
}
