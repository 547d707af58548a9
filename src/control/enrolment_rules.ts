/** The file of `run --enrolment`: read at the start, where a mistake ends it, and again after each edit, where the last good one stays. */
import { type PlatformIssuer, readEnrolmentFile } from "../config/enrolment/enrolment_file.ts";
import { formatFinding } from "../config/format_finding.ts";
import type { Clock } from "../lib/clock.ts";
import { readTextSync, WatchedFiles } from "../runtime/watched_files.ts";
import type { Log } from "../telemetry/log.ts";
import { NoConfigError } from "./config_source.ts";

export interface EnrolmentRulesOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The issuers that count from now on. */
  use(issuers: readonly PlatformIssuer[]): void;
}

export class EnrolmentRules {
  readonly #options: EnrolmentRulesOptions;
  readonly #watched: WatchedFiles;
  #text: string;

  private constructor(options: EnrolmentRulesOptions, text: string) {
    this.#options = options;
    this.#text = text;
    this.#watched = new WatchedFiles({ clock: options.clock, onChange: () => this.#look() });
    this.#watched.watch([options.path]);
  }

  /** Throws FileError, NoConfigError. */
  static start(options: EnrolmentRulesOptions): EnrolmentRules {
    const { path, log } = options;
    const text = readTextSync(path);
    const { issuers, findings } = readEnrolmentFile({ file: path, text });
    if (issuers === null) {
      for (const finding of findings) log.error(formatFinding(finding));
      throw new NoConfigError(path, findings.map(formatFinding));
    }
    options.use(issuers);
    return new EnrolmentRules(options, text);
  }

  close(): void {
    this.#watched.close();
  }

  #look(): void {
    const { path, log, use } = this.#options;
    let text: string;
    try {
      text = readTextSync(path);
    } catch (error) {
      // Once, not at each look.
      if (this.#text !== "") log.error("Cannot read the enrolment file", { path, reason: String(error) });
      this.#text = "";
      return;
    }
    if (text === this.#text) return;
    this.#text = text;
    const { issuers, findings } = readEnrolmentFile({ file: path, text });
    if (issuers !== null) {
      use(issuers);
      log.info("Loaded the enrolment file", { path, issuers: issuers.length });
      return;
    }
    log.error("Refused the enrolment file; what was loaded before still holds", { path });
    for (const finding of findings) log.error(formatFinding(finding));
  }
}
