/**
 * Who has a file open and writes to it, as the kernel tells (inotify(7)): node tells that a file has changed, and not
 * that its writer has closed it. Where the kernel does not tell, or a file is on another machine, nobody knows.
 */
import { dirname } from "node:path";
import { libcFunction } from "./libc.ts";

const MODIFIED = 0x2;
const WRITER_CLOSED = 0x8;
const MOVED_AWAY = 0x40;
const MOVED_HERE = 0x80;
const DELETED = 0x200;
const OVERFLOWED = 0x4000;
const WATCHED = MODIFIED | WRITER_CLOSED | MOVED_AWAY | MOVED_HERE | DELETED;
const DIRECTORY_ONLY = 0x1000000;

/** Does not wait, and no child process has it. */
const FLAGS = 0o2004000;

/** Watch, mask, cookie, and length of the name that follows. */
const EVENT_HEADER_BYTES = 16;
const BUFFER_BYTES = 64 * 1024;

/** `done`: whoever wrote it has closed it, or moved it here. */
export type FileWriter = "writing" | "done";

interface Calls {
  init(flags: number): number;
  add(queue: number, path: Uint8Array, mask: number): number;
  remove(queue: number, watch: number): number;
  read(queue: number, buffer: Uint8Array, bytes: number): number;
  close(descriptor: number): number;
}

export class FileWriters {
  readonly #isWatched: (name: string) => boolean;
  readonly #calls: Calls | null;
  /** Descriptor of the queue; -1: there is none. */
  readonly #queue: number;
  readonly #watches = new Map<string, number>();
  readonly #directories = new Map<number, string>();
  readonly #writers = new Map<string, FileWriter>();
  readonly #buffer = new Uint8Array(BUFFER_BYTES);

  /** `isWatched` says by its name whether a file counts. */
  constructor(isWatched: (name: string) => boolean) {
    this.#isWatched = isWatched;
    this.#calls = loadCalls();
    this.#queue = this.#calls?.init(FLAGS) ?? -1;
  }

  /** These directories from now on, and no others. */
  watch(directories: ReadonlySet<string>): void {
    if (this.#calls === null || this.#queue < 0) return;
    for (const [directory, watch] of this.#watches) {
      if (!directories.has(directory)) this.#forget(directory, watch);
    }
    for (const directory of directories) {
      // The same watch again, unless another directory has taken the place of the one that was there.
      const watch = this.#calls.add(this.#queue, pathOf(directory), WATCHED | DIRECTORY_ONLY);
      const before = this.#watches.get(directory);
      if (watch === before) continue;
      if (before !== undefined) this.#forget(directory, before);
      if (watch < 0) continue;
      this.#watches.set(directory, watch);
      this.#directories.set(watch, directory);
    }
  }

  /** Takes in what has happened; the paths of files of which anything was told. */
  refresh(): ReadonlySet<string> {
    const touched = new Set<string>();
    if (this.#calls === null || this.#queue < 0) return touched;
    const view = new DataView(this.#buffer.buffer);
    for (;;) {
      const bytes = this.#calls.read(this.#queue, this.#buffer, BUFFER_BYTES);
      if (bytes <= 0) return touched;
      for (let at = 0; at + EVENT_HEADER_BYTES <= bytes;) {
        const [watch, mask] = [view.getInt32(at, true), view.getUint32(at + 4, true)];
        const end = at + EVENT_HEADER_BYTES + view.getUint32(at + 12, true);
        const name = Buffer.from(this.#buffer.subarray(at + EVENT_HEADER_BYTES, end)).toString("utf8");
        this.#take(watch, mask, name.replace(/\0+$/, ""), touched);
        at = end;
      }
    }
  }

  /** Undefined: nobody knows. */
  writerOf(path: string): FileWriter | undefined {
    return this.#writers.get(path);
  }

  /** Whether any file is being written. */
  get areWriting(): boolean {
    return this.#writers.values().some((writer) => writer === "writing");
  }

  close(): void {
    if (this.#queue >= 0) this.#calls?.close(this.#queue);
  }

  #take(watch: number, mask: number, name: string, touched: Set<string>): void {
    // What was lost may have been the end of a writer.
    if ((mask & OVERFLOWED) !== 0) this.#writers.clear();
    const directory = this.#directories.get(watch);
    if (directory === undefined || name === "" || !this.#isWatched(name)) return;
    const path = `${directory}/${name}`;
    touched.add(path);
    if ((mask & (DELETED | MOVED_AWAY)) !== 0) this.#writers.delete(path);
    else this.#writers.set(path, (mask & MODIFIED) !== 0 ? "writing" : "done");
  }

  #forget(directory: string, watch: number): void {
    this.#calls?.remove(this.#queue, watch);
    this.#watches.delete(directory);
    this.#directories.delete(watch);
    for (const path of this.#writers.keys()) if (dirname(path) === directory) this.#writers.delete(path);
  }
}

/** As C has it. */
function pathOf(directory: string): Uint8Array {
  return Buffer.from(`${directory}\0`);
}

function loadCalls(): Calls | null {
  const init = libcFunction<Calls["init"]>("inotify_init1", { args: ["i32"], returns: "i32" });
  const add = libcFunction<Calls["add"]>("inotify_add_watch", {
    args: ["i32", "ptr", "u32"],
    returns: "i32",
  });
  const remove = libcFunction<Calls["remove"]>("inotify_rm_watch", { args: ["i32", "i32"], returns: "i32" });
  const read = libcFunction<Calls["read"]>("read", { args: ["i32", "ptr", "u64"], returns: "i32" });
  const close = libcFunction<Calls["close"]>("close", { args: ["i32"], returns: "i32" });
  if (init === null || add === null || remove === null || read === null || close === null) return null;
  return { init, add, remove, read, close };
}
