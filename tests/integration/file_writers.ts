/** The ways in which people and tools change files, the careless ones too. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import type { Prng } from "../../src/lib/prng.ts";

/** Between two writes of one edit; longer than the quiet time after which files are read. */
const PAUSE_MAX_MS = 400;

/** Files by name. */
export type Files = Readonly<Record<string, string>>;

/** Writes, or with null removes, one file in its own manner. */
type Writer = (path: string, text: string | null, pause: () => Promise<void>, random: Prng) => Promise<void>;

const WRITERS: Readonly<Record<string, Writer>> = {
  "in one step": async (path, text) => {
    if (text === null) return rmSync(path, { force: true });
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  },
  "in place": async (path, text) => text === null ? rmSync(path, { force: true }) : writeFileSync(path, text),
  "in two halves": async (path, text, pause, random) => {
    if (text === null) return rmSync(path, { force: true });
    const descriptor = openSync(path, "w");
    const half = random.below(text.length);
    writeSync(descriptor, text.slice(0, half));
    await pause();
    writeSync(descriptor, text.slice(half));
    closeSync(descriptor);
  },
  "line by line": async (path, text, pause, random) => {
    if (text === null) return rmSync(path, { force: true });
    const lines = text.split(/(?<=\n)/);
    const pauses = [random.below(lines.length), random.below(lines.length)];
    const descriptor = openSync(path, "w");
    for (const [index, line] of lines.entries()) {
      writeSync(descriptor, line);
      if (pauses.includes(index)) await pause();
    }
    closeSync(descriptor);
  },
  "emptied first": async (path, text, pause) => {
    writeFileSync(path, "");
    await pause();
    if (text === null) rmSync(path, { force: true });
    else writeFileSync(path, text);
  },
  "with a backup": async (path, text, pause) => {
    const directory = path.slice(0, -basename(path).length);
    writeFileSync(`${directory}4913`, "");
    rmSync(`${directory}4913`);
    writeFileSync(`${directory}.${basename(path)}.swp`, "b0VIM");
    try {
      renameSync(path, `${path}~`);
    } catch {
      // There was none.
    }
    await pause();
    if (text !== null) writeFileSync(path, text);
    rmSync(`${path}~`, { force: true });
    rmSync(`${directory}.${basename(path)}.swp`);
  },
  "removed first": async (path, text, pause) => {
    rmSync(path, { force: true });
    await pause();
    if (text !== null) writeFileSync(path, text);
  },
};

/** Changes a directory from one set of files to another. */
export class CarelessEditor {
  readonly #directory: string;
  readonly #random: Prng;
  /** What was done, for whoever asks what failed. */
  readonly journal: string[] = [];

  /** The directory need not be there. */
  constructor(directory: string, random: Prng) {
    this.#directory = directory;
    this.#random = random;
  }

  /** File by file in random order, each in a random manner. */
  async edit(now: Files, next: Files): Promise<void> {
    const names = [...new Set([...Object.keys(now), ...Object.keys(next)])]
      .filter((name) => now[name] !== next[name]);
    for (const name of this.#shuffled(names)) {
      const manner = this.#one(Object.keys(WRITERS));
      this.journal.push(`${name} ${manner}`);
      const path = join(this.#directory, name);
      await (WRITERS[manner] as Writer)(path, next[name] ?? null, () => this.#pause(), this.#random);
      await this.#pause();
    }
  }

  /** All files go, one after the other, then those that are to be there come. */
  async refill(next: Files): Promise<void> {
    this.journal.push("refilled");
    for (const name of this.#shuffled(readdirSync(this.#directory))) {
      rmSync(join(this.#directory, name), { recursive: true });
      await Bun.sleep(this.#random.below(100));
    }
    await this.#pause();
    for (const name of this.#shuffled(Object.keys(next))) {
      writeFileSync(join(this.#directory, name), next[name] as string);
      await Bun.sleep(this.#random.below(100));
    }
  }

  /** Another directory takes the place of this one. */
  async replaceDirectory(next: Files): Promise<void> {
    this.journal.push("directory replaced");
    await this.#replaceWith((directory) => writeAll(directory, next));
  }

  /** As Kubernetes mounts a ConfigMap: files are links through `..data`. */
  async mount(next: Files): Promise<void> {
    this.journal.push("mounted");
    await this.#replaceWith((directory) => {
      mkdirSync(join(directory, "..0"));
      writeAll(join(directory, "..0"), next);
      symlinkSync("..0", join(directory, "..data"));
      for (const name of Object.keys(next)) symlinkSync(`..data/${name}`, join(directory, name));
    });
  }

  /** As Kubernetes updates what it mounted: `..data` is swapped, then links come and go. */
  async swapMount(now: Files, next: Files): Promise<void> {
    this.journal.push("mount swapped");
    const at = (name: string) => join(this.#directory, name);
    const old = readlinkSync(at("..data"));
    const version = `..${Number(old.slice(2)) + 1}`;
    mkdirSync(at(version));
    writeAll(at(version), next);
    await this.#pause();
    symlinkSync(version, at("..data_tmp"));
    renameSync(at("..data_tmp"), at("..data"));
    await this.#pause();
    for (const name of Object.keys(next)) if (!(name in now)) symlinkSync(`..data/${name}`, at(name));
    await this.#pause();
    for (const name of Object.keys(now)) if (!(name in next)) rmSync(at(name));
    rmSync(at(old), { recursive: true });
  }

  async #replaceWith(fill: (directory: string) => void): Promise<void> {
    const [fresh, old] = [`${this.#directory}.fresh`, `${this.#directory}.old`];
    mkdirSync(fresh);
    fill(fresh);
    renameSync(this.#directory, old);
    await this.#pause();
    renameSync(fresh, this.#directory);
    rmSync(old, { recursive: true });
  }

  #pause(): Promise<void> {
    return Bun.sleep(this.#random.below(PAUSE_MAX_MS));
  }

  #one<Item>(items: readonly Item[]): Item {
    return items[this.#random.below(items.length)] as Item;
  }

  #shuffled<Item>(items: readonly Item[]): Item[] {
    return items.map((item) => ({ item, key: this.#random.uint32() })).sort((a, b) => a.key - b.key)
      .map(({ item }) => item);
  }
}

function writeAll(directory: string, files: Files): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
}
