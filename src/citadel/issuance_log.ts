/**
 * Every certificate that was ever issued, one JSON line each in `issued.jsonl`, on the disk before the certificate goes
 * out. After a restart it tells which workloads have a sidecar, so that none is called in plain text meanwhile.
 */
import { parseWorkloadKey, type WorkloadKey } from "../model/workload.ts";
import type { Clock } from "../lib/clock.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";

/** How the certificate was asked for; `own` is the control plane's. */
export type IssuanceHow = "token" | "renewal" | "own";

export interface Issuance {
  /** Lower-case hex. */
  readonly serial: string;
  readonly spiffeId: string;
  /** Null for the control plane's own. */
  readonly workload: WorkloadKey | null;
  /** `NAMESPACE/NAME` of the WorkloadGroup that the workload has joined; absent: none. */
  readonly group?: WorkloadKey | undefined;
  readonly notAfterMs: number;
  readonly how: IssuanceHow;
}

export interface Enrolment {
  readonly spiffeId: string;
  /** As in Issuance. */
  readonly group?: WorkloadKey | undefined;
  readonly notAfterMs: number;
}

/** A certificate as the books have it. */
export interface IssuedCertificate extends Issuance {
  readonly issuedAtMs: number;
  /** Its workload, or the control plane, was given another one since. */
  readonly replaced: boolean;
}

/** The last certificate of a workload is told of for this long after its end: somebody may wonder what became of it. */
export const EXPIRED_SHOWN_MS = 7 * 24 * 60 * 60 * 1000;

/** From this many certificates on the books are cleared of what has expired, each time they have doubled. */
const CLEARED_FROM = 10_000;

/** A log that has grown beyond this is set aside as `issued-TIME.jsonl`, and what still counts begins a new one. */
export const ISSUANCE_LOG_BYTES_MAX = 16 * 1024 * 1024;

const READ_BYTES_MAX = 1024 * 1024 * 1024;

export class IssuanceLog {
  readonly #directory: string;
  readonly #files: PrivateFiles;
  readonly #clock: Clock;
  readonly #bytesMax: number;
  /** The last certificate of each workload, as its line. */
  readonly #last = new Map<WorkloadKey, Enrolment & { readonly line: string }>();
  /** Certificates by their serial number, in their order. */
  readonly #issued = new Map<string, Issuance & { readonly issuedAtMs: number; readonly line: string }>();
  #clearedAt = CLEARED_FROM;
  #bytes = 0;
  #setAsideAt: number;
  #endsInLine = true;
  /** Lines that wait for the disk; one write takes all. */
  #waiting: { lines: string[]; done: Promise<void> } | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** Lines that could not be read back: what a crash cut off. */
  tornLines = 0;

  private constructor(directory: string, files: PrivateFiles, clock: Clock, bytesMax: number) {
    this.#directory = directory;
    this.#files = files;
    this.#clock = clock;
    this.#bytesMax = bytesMax;
    this.#setAsideAt = bytesMax;
  }

  /** Reads the log of a directory that exists; throws PrivateFileError. */
  static async open(
    directory: string,
    files: PrivateFiles,
    clock: Clock,
    bytesMax = ISSUANCE_LOG_BYTES_MAX,
  ): Promise<IssuanceLog> {
    const log = new IssuanceLog(directory, files, clock, bytesMax);
    const bytes = await files.read(log.#path, READ_BYTES_MAX) ?? new Uint8Array();
    const text = new TextDecoder().decode(bytes);
    log.#bytes = bytes.length;
    log.#endsInLine = text === "" || text.endsWith("\n");
    for (const line of text.split("\n")) if (line !== "") log.#readBack(line);
    return log;
  }

  get #path(): string {
    return `${this.#directory}/issued.jsonl`;
  }

  /** Resolves when the line is on the disk, with others that came meanwhile; throws PrivateFileError. */
  async append(issuance: Issuance): Promise<void> {
    const { notAfterMs, ...rest } = issuance;
    const issuedAtMs = this.#clock.now();
    const line = JSON.stringify({
      time: new Date(issuedAtMs).toISOString(),
      ...rest,
      notAfter: new Date(notAfterMs).toISOString(),
    });
    if (this.#waiting === undefined) {
      const lines: string[] = [];
      // After the write before this one, whatever became of it.
      const done = this.#writing.then(() => {
        this.#waiting = undefined;
        return this.#write(lines);
      });
      this.#waiting = { lines, done };
      this.#writing = done.catch(() => {});
    }
    this.#waiting.lines.push(line);
    await this.#waiting.done;
    this.#remember(issuance, issuedAtMs, line);
  }

  /** Every certificate that has not expired, and the last one of each workload if that was lately. */
  issued(): IssuedCertificate[] {
    const last = this.#clearIssued();
    return [...this.#issued.values()].map(({ line: _, ...issuance }) => ({
      ...issuance,
      replaced: last.get(issuance.workload) !== issuance.serial,
    }));
  }

  /** The workloads with a certificate that is still valid, each with its last one. */
  enrolments(): ReadonlyMap<WorkloadKey, Enrolment> {
    const now = this.#clock.now();
    for (const [workload, { notAfterMs }] of this.#last) if (notAfterMs < now) this.#last.delete(workload);
    return this.#last;
  }

  /** The last certificate of a workload, while it is valid. */
  enrolmentOf(workload: WorkloadKey): Enrolment | undefined {
    const last = this.#last.get(workload);
    return last !== undefined && last.notAfterMs >= this.#clock.now() ? last : undefined;
  }

  async #write(lines: readonly string[]): Promise<void> {
    if (this.#bytes >= this.#setAsideAt) await this.#setAside();
    const text = `${this.#endsInLine ? "" : "\n"}${lines.join("\n")}\n`;
    const bytes = new TextEncoder().encode(text);
    try {
      await this.#files.append(this.#path, bytes);
      this.#endsInLine = true;
      this.#bytes += bytes.length;
    } catch (error) {
      // A part of it may be there.
      this.#endsInLine = false;
      throw error;
    }
  }

  /** The old log is safe under its new name before the new one takes its place: a crash between loses nothing. */
  async #setAside(): Promise<void> {
    const all = await this.#files.read(this.#path, READ_BYTES_MAX);
    if (all !== undefined) {
      const time = new Date(this.#clock.now()).toISOString().replaceAll(":", "");
      await this.#files.create(`${this.#directory}/issued-${time}.jsonl`, all);
    }
    this.#clearIssued();
    const lines = [...this.#issued.values()].map(({ line }) => `${line}\n`).join("");
    const bytes = new TextEncoder().encode(lines);
    await this.#files.replace(this.#path, bytes);
    this.#bytes = bytes.length;
    this.#endsInLine = true;
    // With very many workloads what still counts alone may be long.
    this.#setAsideAt = Math.max(this.#bytesMax, bytes.length * 2);
  }

  /** Forgets what has expired and is no workload's last; returns the serial number of each one's last. */
  #clearIssued(): Map<WorkloadKey | null, string> {
    const last = new Map<WorkloadKey | null, string>();
    for (const { workload, serial } of this.#issued.values()) last.set(workload, serial);
    const now = this.#clock.now();
    for (const [serial, { workload, notAfterMs }] of this.#issued) {
      const shownMs = last.get(workload) === serial ? EXPIRED_SHOWN_MS : 0;
      if (notAfterMs + shownMs < now) this.#issued.delete(serial);
    }
    this.#clearedAt = Math.max(CLEARED_FROM, this.#issued.size * 2);
    return last;
  }

  #readBack(line: string): void {
    const issuance = parseLine(line);
    if (issuance === undefined) this.tornLines++;
    else this.#remember(issuance, issuance.issuedAtMs, line);
  }

  #remember(issuance: Issuance, issuedAtMs: number, line: string): void {
    const { workload, group, spiffeId, notAfterMs, serial, how } = issuance;
    this.#issued.delete(serial);
    this.#issued.set(serial, { serial, spiffeId, workload, group, notAfterMs, how, issuedAtMs, line });
    if (this.#issued.size > this.#clearedAt) this.#clearIssued();
    if (workload === null) return;
    this.#last.delete(workload);
    this.#last.set(workload, { spiffeId, group, notAfterMs, line });
  }
}

function parseLine(line: string): Issuance & { readonly issuedAtMs: number } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { serial, spiffeId, workload, group, notAfter, how, time } = value as Record<string, unknown>;
  const notAfterMs = typeof notAfter === "string" ? Date.parse(notAfter) : NaN;
  if (typeof serial !== "string" || typeof spiffeId !== "string" || Number.isNaN(notAfterMs)) {
    return undefined;
  }
  if (workload !== null && (typeof workload !== "string" || parseWorkloadKey(workload) === undefined)) {
    return undefined;
  }
  if (group !== undefined && (typeof group !== "string" || parseWorkloadKey(group) === undefined)) {
    return undefined;
  }
  // The time is for those who look; nothing is lost with it.
  const issuedAtMs = typeof time === "string" ? Date.parse(time) || notAfterMs : notAfterMs;
  return { serial, spiffeId, workload, group, notAfterMs, issuedAtMs, how: how as IssuanceHow };
}
