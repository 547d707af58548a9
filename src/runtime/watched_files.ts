/**
 * Small files that may change at any time, such as certificates, by path. Their directories are watched, never the files
 * themselves (they are replaced by renaming, or by swapping a link beside them), and a slow poll finds what no event told.
 */
import { type FSWatcher, readFileSync, watch } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { FileError } from "./files.ts";

/** Quiet time after an event before the files are read: a certificate and its key are written one after the other. */
export const FILES_DEBOUNCE_MS = 100;

/** The files are read this long after the first event, however many follow: others may be written there all the time. */
export const FILES_DEBOUNCE_MAX_MS = 1_000;

/** The time between reads that no event asked for. */
export const FILES_POLL_MS = 3_000;

/** A longer file is none of those that are meant. */
export const WATCHED_FILE_BYTES_MAX = 1024 * 1024;

/** Throws FileError. */
export type ReadText = (path: string) => string;

export interface WatchedFilesOptions {
  readonly clock: Clock;
  /** Something may have changed; called now and then without. */
  onChange(): void;
}

export class WatchedFiles {
  readonly #options: WatchedFilesOptions;
  readonly #directories = new Map<string, FSWatcher | null>();
  /** Monotonic; null: nothing happened since the files were read. */
  #firstEventMs: number | null = null;
  /** Null: nobody asks for anything. */
  #cancel: (() => void) | null = null;

  constructor(options: WatchedFilesOptions) {
    this.#options = options;
  }

  /** Watches for changes of these files, and of no others any more. */
  watch(paths: Iterable<string>): void {
    const wanted = new Set(Array.from(paths, (path) => dirname(path)));
    for (const directory of this.#directories.keys()) if (!wanted.has(directory)) this.#unwatch(directory);
    for (const directory of wanted) if (!this.#directories.has(directory)) this.#open(directory);
    if (wanted.size === 0) this.#stop();
    else if (this.#cancel === null) this.#tellAfter(FILES_POLL_MS);
  }

  close(): void {
    this.watch([]);
  }

  #open(directory: string): void {
    try {
      const watcher = watch(directory, () => this.#onEvent());
      watcher.on("error", () => this.#unwatch(directory));
      this.#directories.set(directory, watcher);
    } catch {
      // Not there, not permitted, or no watches are left: the poll finds the changes.
    }
  }

  #unwatch(directory: string): void {
    this.#directories.get(directory)?.close();
    this.#directories.delete(directory);
  }

  #onEvent(): void {
    const now = this.#options.clock.monotonic();
    this.#firstEventMs ??= now;
    this.#tellAfter(
      Math.min(FILES_DEBOUNCE_MS, Math.max(0, this.#firstEventMs + FILES_DEBOUNCE_MAX_MS - now)),
    );
  }

  #stop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#firstEventMs = null;
  }

  #tellAfter(ms: number): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#firstEventMs = null;
      this.#tellAfter(FILES_POLL_MS);
      this.#options.onChange();
    });
  }
}

/** All of a file at once: they are small, and who waits for one can do nothing without it. */
export const readTextSync: ReadText = (path) => {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw FileError.of("read", path, error);
  }
  if (bytes.length <= WATCHED_FILE_BYTES_MAX) return bytes.toString("utf8");
  throw new FileError(
    "too-large",
    path,
    `Cannot read ${path}: it is longer than ${WATCHED_FILE_BYTES_MAX} bytes`,
  );
};
