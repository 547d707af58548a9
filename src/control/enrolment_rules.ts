/** The file of `run --enrolment`: read at the start, where a mistake ends it, and again after each edit, where the last good one stays. */
import { type PlatformIssuer, readEnrolmentFile } from "../config/enrolment/enrolment_file.ts";
import { formatFinding } from "../config/format_finding.ts";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/message_of.ts";
import { readTextSync, WatchedFiles } from "../runtime/watched_files.ts";
import type { Log } from "../telemetry/log.ts";

const CANNOT_READ = "Cannot read the enrolment file";

export interface EnrolmentRulesOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The issuers that count from now on. */
  use(issuers: readonly PlatformIssuer[]): void;
}

/** The file was not good at the start, so that nobody knows whom the platforms' tokens mean; the log has the findings. */
export class EnrolmentFileError extends Error {
  override readonly name = "EnrolmentFileError";

  constructor(path: string) {
    super(`The platforms in ${path} cannot be used`);
  }
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

  /** Throws EnrolmentFileError. */
  static start(options: EnrolmentRulesOptions): EnrolmentRules {
    const { path, log } = options;
    let text: string;
    try {
      text = readTextSync(path);
    } catch (error) {
      log.error(CANNOT_READ, { path, reason: messageOf(error) });
      throw new EnrolmentFileError(path);
    }
    const { issuers, findings } = readEnrolmentFile({ file: path, text });
    if (issuers === null) {
      for (const finding of findings) log.error(formatFinding(finding));
      throw new EnrolmentFileError(path);
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
      if (this.#text !== "") log.error(CANNOT_READ, { path, reason: messageOf(error) });
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
