/**
 * Keeps the configuration store fed from its directory, and the last good content on disk: a control plane that starts
 * while the files hold a mistake goes on with what was good, since certificates and discovery must not wait for it.
 */
import { ConfigStore, type Generation, type Outcome } from "../config/config_store.ts";
import { formatFinding } from "../config/format_finding.ts";
import type { LoadResult } from "../config/loader.ts";
import { newlyMissing } from "../config/analysis/newly_missing.ts";
import type { Clock } from "../lib/clock.ts";
import { type DirectoryWatch, watchDirectory } from "../runtime/directory_watch.ts";
import { readTextFileIfPresent, writeFileAtomic } from "../runtime/files.ts";
import type { SourceFile } from "../runtime/read_files.ts";
import type { Log } from "../telemetry/log.ts";

/** Name in the data directory. */
const LAST_GOOD_FILE = "config-last-good.json";
const LAST_GOOD_BYTES_MAX = 256 * 1024 * 1024;

/** What an edit means for the proxies goes first; then it is analyzed, and kept for a start without it. */
const AFTERWORK_DELAY_MS = 300;

/**
 * How long an edit that leads requests to a host or subset that is not there waits for the edit that brings it, or that
 * takes away the rule as well. Whoever changes one file after the other then fails no request, in whatever order.
 */
export const OTHER_HALF_WAIT_MS = 5_000;

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
  /** An edit that waits for its other half, and the end of that. */
  #waiting: { readonly edit: Edit; readonly cancel: () => void } | null = null;
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
    const { clock, log } = this.#options;
    const { resources } = edit.read;
    const { current } = this.store;
    const missing = resources === null || current === null ? [] : newlyMissing(resources, current.resources);
    if (missing.length === 0) {
      this.#stopWaiting();
      this.#settle(this.store.serve(edit.read), edit.files);
      return;
    }
    log.warn("The edit waits for what its rules lead to; what was loaded before serves until then", {
      waitMs: OTHER_HALF_WAIT_MS,
    });
    for (const finding of missing) log.warn(formatFinding(finding));
    // Later edits wait no longer than the first would have.
    const cancel = this.#waiting?.cancel ?? clock.after(OTHER_HALF_WAIT_MS, () => this.#endWait());
    this.#waiting = { edit, cancel };
  }

  /** It is taken as it is: somebody may want it so. */
  #endWait(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) this.#settle(this.store.serve(waiting.edit.read), waiting.edit.files);
  }

  #stopWaiting(): void {
    this.#waiting?.cancel();
    this.#waiting = null;
  }

  #settle(outcome: Outcome, files: readonly SourceFile[] | null): void {
    const { log } = this.#options;
    if (outcome.accepted) {
      log.info("Loaded the configuration", {
        generation: outcome.generation.number,
        files: files?.length ?? 0,
      });
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
    for (const finding of generation.findings) this.#options.log.warn(formatFinding(finding));
    if (files !== null) this.#save(files);
  }

  /** In the background, one after the other; a full disk must not keep a good edit from serving. */
  #save(files: readonly SourceFile[]): void {
    const { dataDirectory, log } = this.#options;
    const content = JSON.stringify(files.map(({ file, text }) => ({ file, text })));
    this.#saving = this.#saving
      .then(() => writeFileAtomic(`${dataDirectory}/${LAST_GOOD_FILE}`, content))
      .catch((error) => log.warn("Could not keep a copy of the configuration", { reason: String(error) }));
  }

  async #restore(): Promise<boolean> {
    const { dataDirectory, log } = this.#options;
    const text = await readTextFileIfPresent(`${dataDirectory}/${LAST_GOOD_FILE}`, LAST_GOOD_BYTES_MAX);
    if (text === undefined) return false;
    const rejection = this.store.rejection;
    const outcome = this.store.apply(JSON.parse(text) as SourceFile[]);
    if (outcome.accepted) {
      log.warn("Serving the last good configuration, since the files are not valid");
      if (rejection !== null) this.store.keepRejection(rejection);
    }
    return outcome.accepted;
  }
}
