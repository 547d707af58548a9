/** A clock of a process that a test sets ahead, by libfaketime: what happens after minutes then happens now. */
import { renameSync, writeFileSync } from "node:fs";
import { programPath } from "./peers.ts";

export class ShiftedClock {
  readonly #file: string;

  /** `file` is where the process looks for the time. */
  constructor(file: string) {
    this.#file = file;
    this.set(0);
  }

  /** For the process. */
  get env(): Record<string, string> {
    // The program knows where its library is.
    const { stdout } = Bun.spawnSync([programPath("faketime", "faketime"), "-m", "-f", "+0", "env"]);
    const [, library] = /^LD_PRELOAD=(.+)$/m.exec(stdout.toString()) ?? [];
    if (library === undefined) throw new Error("faketime does not say where its library is");
    return { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: this.#file, FAKETIME_NO_CACHE: "1" };
  }

  /** Both clocks of the process, that of the calendar and the one that only counts, are so much ahead. */
  set(aheadMs: number): void {
    writeFileSync(`${this.#file}~`, `+${aheadMs / 1_000}\n`);
    renameSync(`${this.#file}~`, this.#file);
  }
}
