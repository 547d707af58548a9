/**
 * Keeps the configuration store fed from its directory, and the last good content on disk: a control plane that starts
 * while the files hold a mistake goes on with what was good, since certificates and discovery must not wait for it.
 */
import { ConfigStore, type Generation, type Outcome } from "../config/config_store.ts";
import { formatFinding } from "../config/format_finding.ts";
import type { LoadResult } from "../config/loader.ts";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/message_of.ts";
import { type DirectoryWatch, watchDirectory } from "../runtime/directory_watch.ts";
import { readTextFileIfPresent, writeFileAtomic } from "../runtime/files.ts";
import type { SourceFile } from "../runtime/read_files.ts";
import type { Log } from "../telemetry/log.ts";
import { EditWait } from "./edit_wait.ts";
import { type OpenEnd, openEnds, OTHER_HALF_WAIT_MS } from "./open_ends.ts";

/** Name in the data directory. */
const LAST_GOOD_FILE = "config-last-good.json";
const LAST_GOOD_BYTES_MAX = 256 * 1024 * 1024;

/** What an edit means for the proxies goes first; then it is analyzed, and kept for a start without it. */
const AFTERWORK_DELAY_MS = 300;

/** Of what an edit waits for so much is in the log. */
const OPEN_ENDS_LOGGED_MAX = 10;

export interface ConfigSourceOptions {
  readonly path: string;
  readonly dataDirectory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly log: Log;
}

interface Edit {
  readonly read: LoadResult;
  readonly files: readonly SourceFile[];
}

/** The files were never good: there is nothing to serve. */
export class NoConfigError extends Error {
  override readonly name = "NoConfigError";

  /** One line for each finding. */
  constructor(path: string, readonly findings: readonly string[]) {
    super(`The configuration in ${path} is not valid, and there is no earlier one that was`);
  }
}

export class ConfigSource {
  readonly store: ConfigStore;
  readonly #options: ConfigSourceOptions;
  #watch: DirectoryWatch | null = null;
  readonly #wait = new EditWait();
  /** Ends the wait of the edit that waits. */
  #cancelWait: (() => void) | null = null;
  /** The files of what serves. */
  #servedFiles: readonly SourceFile[] = [];
  /** Accepted, and yet to be analyzed and kept. */
  #unfinished: { readonly generation: Generation; readonly files: readonly SourceFile[] | null } | null =
    null;
  #cancelAfterwork: (() => void) | null = null;
  #saving: Promise<void> = Promise.resolve();

  constructor(options: ConfigSourceOptions) {
    this.#options = options;
    this.store = new ConfigStore(options.clock, { trustDomain: options.trustDomain });
  }

  /** Loads and keeps watching. Throws NoConfigError when neither the files nor the last good copy can be used. */
  async start(): Promise<void> {
    const { path, clock } = this.#options;
    this.#watch = await watchDirectory({
      path,
      clock,
      onChange: (files) => this.#take({ read: this.store.read(files), files }),
      onError: (error) => {
        this.#stopWaiting();
        this.#settle(this.store.readFailed(error), null);
      },
    });
    if (this.store.current !== null) return;
    const { rejection } = this.store;
    if (await this.#restore()) return;
    this.close();
    throw new NoConfigError(path, (rejection?.findings ?? []).map(formatFinding));
  }

  close(): void {
    this.#watch?.close();
    this.#stopWaiting();
    this.#cancelAfterwork?.();
  }

  #take(edit: Edit): void {
    const { clock } = this.#options;
    const { resources } = edit.read;
    const { current } = this.store;
    const open = current === null ? [] : openEnds(
      { resources, files: edit.files },
      { resources: current.resources, files: this.#servedFiles },
    );
    const fresh = open.filter((one) => !this.#wait.has(one));
    const leftMs = this.#wait.leftMs(open, clock.monotonic());
    if (leftMs === 0) {
      this.#stopWaiting();
      return this.#settle(this.store.serve(edit.read), edit.files);
    }
    this.#tell(fresh);
    this.#cancelWait?.();
    this.#cancelWait = clock.after(leftMs, () => this.#endWait(edit));
  }

  #tell(open: readonly OpenEnd[]): void {
    const { log } = this.#options;
    if (open.length === 0) return;
    log.warn("The edit waits for the rest of it; what was loaded before serves until then", {
      waitMaxMs: Math.max(...open.map(({ waitMaxMs = OTHER_HALF_WAIT_MS }) => waitMaxMs)),
    });
    for (const { says } of open.slice(0, OPEN_ENDS_LOGGED_MAX)) log.warn(says);
    const more = open.length - OPEN_ENDS_LOGGED_MAX;
    if (more > 0) log.warn(`and ${more} more`);
  }

  /** The edit is taken as it is, without the rest: somebody may want it so. */
  #endWait(edit: Edit): void {
    this.#stopWaiting();
    this.#settle(this.store.serve(edit.read), edit.files);
  }

  #stopWaiting(): void {
    this.#cancelWait?.();
    this.#cancelWait = null;
    this.#wait.end();
  }

  #settle(outcome: Outcome, files: readonly SourceFile[] | null): void {
    const { log, path } = this.#options;
    if (outcome.accepted) {
      log.info("Loaded the configuration", {
        generation: outcome.generation.number,
        files: files?.length ?? 0,
      });
      // It may be meant, in a mesh that is to come; or the disk that it is on was not mounted.
      if (files?.length === 0) {
        log.warn("No YAML file is there: the mesh has neither services nor rules", { path });
      }
      if (files !== null) this.#servedFiles = files;
      this.#unfinished = { generation: outcome.generation, files };
      this.#cancelAfterwork ??= this.#options.clock.after(AFTERWORK_DELAY_MS, () => this.#finish());
      return;
    }
    const { current } = this.store;
    if (current === null) log.error("Refused the configuration");
    else {
      log.error("Refused the configuration; what was loaded before still serves", {
        generation: current.number,
      });
    }
    for (const finding of outcome.rejection.findings) log.error(formatFinding(finding));
  }

  #finish(): void {
    this.#cancelAfterwork = null;
    if (this.#unfinished === null) return;
    const { generation, files } = this.#unfinished;
    this.#unfinished = null;
    const { log } = this.#options;
    for (const finding of generation.findings) {
      if (finding.severity === "info") log.info(formatFinding(finding));
      else log.warn(formatFinding(finding));
    }
    if (files !== null) this.#save(files);
  }

  /** In the background, one after the other; a full disk must not keep a good edit from serving. */
  #save(files: readonly SourceFile[]): void {
    const { dataDirectory, log } = this.#options;
    const content = JSON.stringify(files.map(({ file, text }) => ({ file, text })));
    this.#saving = this.#saving
      .then(() => writeFileAtomic(`${dataDirectory}/${LAST_GOOD_FILE}`, content))
      .catch((error) => log.warn("Could not keep a copy of the configuration", { reason: messageOf(error) }));
  }

  async #restore(): Promise<boolean> {
    const { dataDirectory, log } = this.#options;
    const text = await readTextFileIfPresent(`${dataDirectory}/${LAST_GOOD_FILE}`, LAST_GOOD_BYTES_MAX);
    if (text === undefined) return false;
    const rejection = this.store.rejection;
    const files = JSON.parse(text) as SourceFile[];
    const outcome = this.store.apply(files);
    if (outcome.accepted) {
      this.#servedFiles = files;
      log.warn("Serving the last good configuration, since the files are not valid");
      if (rejection !== null) this.store.keepRejection(rejection);
    }
    return outcome.accepted;
  }
}
