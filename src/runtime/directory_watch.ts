/**
 * Watches the YAML files of a path and tells their whole content whenever it differs. Directories are watched, never
 * files (editors and deployment tools replace files by renaming), and so are the path's ancestors, since the path or a
 * part of it may be a symbolic link that is swapped. A slow poll finds what no event told.
 */
import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { FileWriters } from "./file_writers.ts";
import {
  FileReadError,
  isYamlName,
  type ReadFile,
  readSourceFiles,
  sourceDirectories,
  type SourceFile,
} from "./read_files.ts";

/** Quiet time after an event before the files are read: a deployment writes several. */
const DEBOUNCE_MS = 100;

/** The files are read this long after the first event, however many follow. */
const DEBOUNCE_MAX_MS = 400;

/** The time between reads that no event asked for. */
export const POLL_MS = 3_000;

/** The time between two looks whether who writes a file has closed it, which no event tells. */
const WRITERS_POLL_MS = 50;

export interface DirectoryWatchOptions {
  /** A directory, or one file. */
  readonly path: string;
  readonly clock: Clock;
  /**
   * All files, as readSourceFiles() returns them, and who writes them; called whenever their names or contents differ
   * from before, or another one of them is being written.
   */
  onChange(files: SourceFile[]): void;
  /** The path could not be read; called once for as long as the reason stays the same. */
  onError(error: FileReadError): void;
}

export interface DirectoryWatch {
  /** Ends the watch; nothing is called any more. */
  close(): void;
}

/** Watches from now on. Resolves after the first read, for which `onChange` or `onError` has been called. */
export async function watchDirectory(options: DirectoryWatchOptions): Promise<DirectoryWatch> {
  const watcher = new Watcher(options);
  await watcher.scan();
  return watcher;
}

interface Watched {
  readonly watcher: FSWatcher;
  /** Device and inode: a directory that was replaced by another of its name has others. */
  readonly identity: string;
}

class Watcher implements DirectoryWatch {
  readonly #options: DirectoryWatchOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #writers: FileWriters;
  /** What was told last: files by their names, or the error; null: nothing yet. */
  #told: ReadonlyMap<string, SourceFile> | string | null = null;
  #closed = false;
  #scanning = false;
  /** Something happened during a scan. */
  #again = false;
  #firstEventMs: number | null = null;
  #cancelTimer: () => void = () => {};

  constructor(options: DirectoryWatchOptions) {
    this.#options = options;
    const only = basename(resolve(options.path));
    this.#writers = new FileWriters((name) => isYamlName(name) || name === only);
  }

  close(): void {
    if (!this.#closed) this.#writers.close();
    this.#closed = true;
    this.#cancelTimer();
    for (const directory of [...this.#watched.keys()]) this.#unwatch(directory);
  }

  /** Brings the watches up to date, reads, and tells what differs; then waits for the next event or poll. */
  async scan(): Promise<void> {
    this.#cancelTimer();
    this.#scanning = true;
    this.#firstEventMs = null;
    // Watches first: what changes while the files are read is then an event.
    await this.#watchAll();
    await this.#read();
    this.#scanning = false;
    if (this.#closed) return this.close();
    if (this.#again) this.#scanAfter(DEBOUNCE_MS);
    else this.#rest(POLL_MS);
    this.#again = false;
  }

  /** Until the poll that is due, an event, or the end of somebody who writes. */
  #rest(leftMs: number): void {
    if (!this.#writers.areWriting || leftMs <= WRITERS_POLL_MS) return this.#scanAfter(leftMs);
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(WRITERS_POLL_MS, () => {
      if (this.#refreshWriters().size > 0) void this.scan();
      else this.#rest(leftMs - WRITERS_POLL_MS);
    });
  }

  async #read(): Promise<void> {
    const { path, onError } = this.#options;
    try {
      this.#refreshWriters();
      const read = await readSourceFiles(path);
      // What was written while it was read may have been read in part.
      const meanwhile = this.#refreshWriters();
      this.#tell(read.map((file) => this.#withWriter(file, meanwhile)));
    } catch (error) {
      if (!(error instanceof FileReadError)) throw error;
      const told = `${error.code} ${error.file}`;
      if (this.#closed || told === this.#told) return;
      this.#told = told;
      onError(error);
    }
  }

  #tell(read: readonly SourceFile[]): void {
    if (this.#closed) return;
    const before = typeof this.#told === "string" ? null : this.#told;
    // Of a text that is as it was the old object stays, and the new one is garbage at once: texts are megabytes.
    const files = read.map((file) => {
      const known = before?.get(file.file);
      return known?.text === file.text ? { ...file, text: known.text } : file;
    });
    if (before !== null && before.size === files.length && files.every((file) => isSame(file, before))) {
      return;
    }
    this.#told = new Map(files.map((file) => [file.file, file]));
    this.#options.onChange(files);
  }

  #refreshWriters(): ReadonlySet<string> {
    return this.#closed ? new Set() : this.#writers.refresh();
  }

  #withWriter(file: ReadFile, meanwhile: ReadonlySet<string>): SourceFile {
    const path = resolve(file.path);
    const writer = meanwhile.has(path) ? "writing" : this.#writers.writerOf(path);
    return writer === undefined ? file : { ...file, writer };
  }

  #onEvent(): void {
    if (this.#scanning) {
      this.#again = true;
      return;
    }
    const now = this.#options.clock.monotonic();
    this.#firstEventMs ??= now;
    this.#scanAfter(Math.min(DEBOUNCE_MS, Math.max(0, this.#firstEventMs + DEBOUNCE_MAX_MS - now)));
  }

  #scanAfter(ms: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(ms, () => void this.scan());
  }

  async #watchAll(): Promise<void> {
    const { path } = this.#options;
    const wanted = new Map<string, string | null>();
    // Of an ancestor only the entry on the way to the path matters.
    for (let child = resolve(path); dirname(child) !== child; child = dirname(child)) {
      wanted.set(dirname(child), basename(child));
    }
    const directories = await sourceDirectories(path);
    for (const directory of directories) wanted.set(directory, null);
    // Of a path that is one file, the directory that it is in.
    if (!this.#closed) {
      this.#writers.watch(new Set(directories.length === 0 ? [dirname(resolve(path))] : directories));
    }
    for (const directory of [...this.#watched.keys()]) {
      if (!wanted.has(directory)) this.#unwatch(directory);
    }
    for (const [directory, entry] of wanted) await this.#watch(directory, entry);
  }

  async #watch(directory: string, entry: string | null): Promise<void> {
    const info = await stat(directory).catch(() => undefined);
    const identity = info === undefined ? "" : `${info.dev}:${info.ino}:${info.isDirectory()}`;
    if (this.#watched.get(directory)?.identity === identity) return;
    this.#unwatch(directory);
    if (this.#closed || info?.isDirectory() !== true) return;
    try {
      const watcher = watch(directory, (_event, name) => {
        if (entry === null || name === null || name === entry) this.#onEvent();
      });
      watcher.on("error", () => this.#unwatch(directory));
      this.#watched.set(directory, { watcher, identity });
    } catch {
      // Not permitted, or the system's watches are used up: the poll finds the changes.
    }
  }

  #unwatch(directory: string): void {
    this.#watched.get(directory)?.watcher.close();
    this.#watched.delete(directory);
  }
}

/** Whether a file has the text that it had, and is being written if it was. */
function isSame({ file, text, writer }: SourceFile, before: ReadonlyMap<string, SourceFile>): boolean {
  const known = before.get(file);
  return known?.text === text && (known.writer === "writing") === (writer === "writing");
}
