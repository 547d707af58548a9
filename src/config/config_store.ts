/**
 * The configuration that serves now, and why the last edit does not if it was refused. A generation replaces the one
 * before as a whole; a bad edit changes nothing but what is reported.
 */
import type { Clock } from "../lib/clock.ts";
import type { FileReadError, SourceFile } from "../runtime/read_files.ts";
import { CODES } from "./codes.ts";
import type { Finding } from "./finding.ts";
import { allFindings, ConfigReader, type LoadOptions, type LoadResult } from "./loader.ts";
import type { ResourceSet } from "./resource.ts";

export interface Generation {
  /** Counts from 1; each load that succeeds has the next one. */
  readonly number: number;
  readonly resources: ResourceSet;
  /** Milliseconds since 1970. */
  readonly loadedAtMs: number;
  /**
   * Warnings: nothing of them kept the files from loading. Worked out when they are first asked for, since proxies must
   * not wait for it.
   */
  readonly findings: readonly Finding[];
}

/** An edit that was refused; the generation before it still serves. */
export interface Rejection {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** At least one is an error. */
  readonly findings: readonly Finding[];
}

/** What became of an edit. */
export type Outcome =
  | { readonly accepted: true; readonly generation: Generation }
  | { readonly accepted: false; readonly rejection: Rejection };

export class ConfigStore {
  readonly #clock: Clock;
  readonly #reader: ConfigReader;
  readonly #listeners = new Set<(generation: Generation) => void>();
  #current: Generation | null = null;
  #rejection: Rejection | null = null;

  constructor(clock: Clock, options: LoadOptions = {}) {
    this.#clock = clock;
    this.#reader = new ConfigReader(options);
  }

  /** What serves; null until the first load that succeeds. */
  get current(): Generation | null {
    return this.#current;
  }

  /** The last edit if it was refused; null when what serves is what the files say. */
  get rejection(): Rejection | null {
    return this.#rejection;
  }

  /** read() and serve() in one. */
  apply(files: readonly SourceFile[]): Outcome {
    return this.serve(this.read(files));
  }

  /** Reads the whole content of the directory; what serves stays. */
  read(files: readonly SourceFile[]): LoadResult {
    return this.#reader.read(files);
  }

  /** Serves what was read, and tells the listeners, when it is good. */
  serve({ resources, findings }: LoadResult): Outcome {
    if (resources === null) return this.#reject(allFindings(null, findings));
    const number = (this.#current?.number ?? 0) + 1;
    let all: readonly Finding[] | undefined;
    const generation: Generation = {
      number,
      resources,
      loadedAtMs: this.#clock.now(),
      get findings() {
        return all ??= allFindings(resources, findings);
      },
    };
    this.#current = generation;
    this.#rejection = null;
    for (const listener of [...this.#listeners]) listener(generation);
    return { accepted: true, generation };
  }

  /** The directory could not be read: the same as an edit that is refused. */
  readFailed(error: FileReadError): Outcome {
    // The path itself is named as the operator wrote it: relative to itself it has no name.
    return this.#reject([readErrorFinding(error, error.file === "" ? error.path : error.file)]);
  }

  /** What serves now was restored: the files themselves are still refused. */
  keepRejection(rejection: Rejection): void {
    this.#rejection = rejection;
  }

  /** Calls with each generation from now on; the returned function ends that. */
  onGeneration(listener: (generation: Generation) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #reject(findings: readonly Finding[]): Outcome {
    this.#rejection = { atMs: this.#clock.now(), findings };
    return { accepted: false, rejection: this.#rejection };
  }
}

const LIMITS_HIT: ReadonlySet<FileReadError["code"]> = new Set(["too-large", "too-many", "too-deep"]);

/** A file or directory that cannot be read, as a finding at its beginning; `file` is its name as the user knows it. */
export function readErrorFinding(error: FileReadError, file: string): Finding {
  return {
    code: LIMITS_HIT.has(error.code) ? CODES.limitExceeded : CODES.unreadable,
    severity: "error",
    file,
    line: 1,
    column: 1,
    resource: null,
    field: null,
    message: `could not be read: ${error.reason}`,
    hint: null,
  };
}
