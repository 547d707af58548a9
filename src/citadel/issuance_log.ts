/**
 * Every certificate that was ever issued, one JSON line each in `issued.jsonl`, on the disk before the certificate goes
 * out. After a restart it tells which workloads have a sidecar, so that none is called in plain text meanwhile.
 */
import { parseWorkloadKey, type WorkloadKey } from "../model/workload.ts";
import type { Clock } from "../lib/clock.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import { Journal } from "./journal.ts";

/** How the certificate was asked for; `own` is the control plane's. */
export type IssuanceHow = "token" | "platform" | "renewal" | "rejoin" | "own";

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
  /** Hash of its public key, as publicKeyHash() makes it; absent in lines of older versions. */
  readonly key?: string | undefined;
  /** Which key of the authority signed it, as in CertificateAuthority; absent in lines of older versions. */
  readonly signer?: string | undefined;
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

export class IssuanceLog {
  readonly #clock: Clock;
  #journal!: Journal;
  /** The last certificate of each workload; one that has expired stays for a while, since a clock that was wrong may be set right. */
  readonly #last = new Map<WorkloadKey, Enrolment>();
  /** Certificates by their serial number, in their order. */
  readonly #issued = new Map<string, Issuance & { readonly issuedAtMs: number; readonly line: string }>();
  /** The serial number of each workload's last one. */
  readonly #lastSerials = new Map<WorkloadKey | null, string>();
  /** The serial number of the one that each workload says it has, since the start. */
  readonly #held = new Map<WorkloadKey, string>();
  #clearedAt = CLEARED_FROM;
  /** Lines that could not be read back: what a crash cut off. */
  tornLines = 0;
  /** The log had no line when it was opened. */
  isNew = true;

  private constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Reads the log of a directory that exists; throws PrivateFileError. */
  static async open(
    directory: string,
    files: PrivateFiles,
    clock: Clock,
    bytesMax?: number,
  ): Promise<IssuanceLog> {
    const log = new IssuanceLog(clock);
    const kept = () => {
      log.#clearIssued();
      return [...log.#issued.values()].map(({ line }) => line);
    };
    const { journal, lines } = await Journal.open({
      directory,
      name: "issued",
      files,
      clock,
      bytesMax,
      kept,
    });
    log.#journal = journal;
    log.isNew = lines.length === 0;
    for (const line of lines) log.#readBack(line);
    return log;
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
    await this.#journal.append(line);
    this.#remember(issuance, issuedAtMs, line);
  }

  /**
   * Every certificate that has not expired, and the last one of each workload if that was lately. What is not told is not
   * forgotten by that: the clock may be wrong at the moment.
   */
  issued(): IssuedCertificate[] {
    const now = this.#clock.now();
    return [...this.#issued.values()].flatMap(({ line: _, ...issuance }) => {
      const replaced = this.#lastSerials.get(issuance.workload) !== issuance.serial;
      const shownMs = replaced ? 0 : EXPIRED_SHOWN_MS;
      return issuance.notAfterMs + shownMs < now ? [] : [{ ...issuance, replaced }];
    });
  }

  /** A workload says which certificate it has: the last one may never have reached it. */
  hold(workload: WorkloadKey, serial: string): void {
    if (this.#issued.get(serial)?.workload === workload) this.#held.set(workload, serial);
  }

  /**
   * The workloads whose last certificate, or the one that they have, is good and was signed by a key of which that is
   * true, sorted.
   */
  signedBy(
    isMeant: (signer: string | undefined) => boolean,
    isRevoked: (serial: string) => boolean,
  ): WorkloadKey[] {
    const now = this.#clock.now();
    const counts = (serial: string) => {
      const issuance = this.#issued.get(serial);
      return issuance !== undefined && isMeant(issuance.signer) && issuance.notAfterMs > now &&
        !isRevoked(serial);
    };
    return [...this.#lastSerials].flatMap(([workload, last]) =>
      workload !== null && (counts(last) || counts(this.#held.get(workload) ?? last)) ? [workload] : []
    ).sort();
  }

  /**
   * A certificate than which its workload has nothing newer, unless for the same key: then an answer may have been lost. It
   * may have expired, EXPIRED_SHOWN_MS ago at most. `lastSerial` is of the newest.
   */
  lastIssued(serial: string): Issuance & { readonly lastSerial: string } | undefined {
    const issuance = this.#issued.get(serial);
    if (issuance === undefined || !this.#hasLastKey(issuance)) return undefined;
    const lastSerial = this.#lastSerials.get(issuance.workload) ?? serial;
    return issuance.notAfterMs + EXPIRED_SHOWN_MS < this.#clock.now()
      ? undefined
      : { ...issuance, lastSerial };
  }

  /** Whether a certificate is the last of its workload, or has the same key as the last. */
  #hasLastKey({ serial, workload, key }: Issuance): boolean {
    const last = this.#lastSerials.get(workload);
    return last === serial ||
      (key !== undefined && last !== undefined && this.#issued.get(last)?.key === key);
  }

  /** The workloads with a certificate that is still valid, each with its last one. */
  enrolments(): ReadonlyMap<WorkloadKey, Enrolment> {
    const now = this.#clock.now();
    return new Map([...this.#last].filter(([, { notAfterMs }]) => notAfterMs >= now));
  }

  /** The last certificate of a workload, while it is valid. */
  enrolmentOf(workload: WorkloadKey): Enrolment | undefined {
    const last = this.#last.get(workload);
    return last !== undefined && last.notAfterMs >= this.#clock.now() ? last : undefined;
  }

  /** Forgets what has expired and is of no use to lastIssued(), or that as well after a while. */
  #clearIssued(): void {
    const now = this.#clock.now();
    for (const [serial, issuance] of this.#issued) {
      const { workload, notAfterMs } = issuance;
      if (notAfterMs + (this.#hasLastKey(issuance) ? EXPIRED_SHOWN_MS : 0) >= now) continue;
      this.#issued.delete(serial);
      if (workload !== null && this.#held.get(workload) === serial) this.#held.delete(workload);
      if (this.#lastSerials.get(workload) !== serial) continue;
      this.#lastSerials.delete(workload);
      if (workload !== null) this.#last.delete(workload);
    }
    this.#clearedAt = Math.max(CLEARED_FROM, this.#issued.size * 2);
  }

  #readBack(line: string): void {
    const issuance = parseLine(line);
    if (issuance === undefined) this.tornLines++;
    else this.#remember(issuance, issuance.issuedAtMs, line);
  }

  #remember(issuance: Issuance, issuedAtMs: number, line: string): void {
    const { workload, group, spiffeId, notAfterMs, serial, how, key, signer } = issuance;
    this.#issued.delete(serial);
    this.#issued.set(serial, {
      ...{ serial, spiffeId, workload, group, notAfterMs, how, key, signer },
      ...{ issuedAtMs, line },
    });
    this.#lastSerials.set(workload, serial);
    if (this.#issued.size > this.#clearedAt) this.#clearIssued();
    if (workload === null) return;
    this.#last.delete(workload);
    this.#last.set(workload, { spiffeId, group, notAfterMs });
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
  const { serial, spiffeId, workload, group, notAfter, how, key, signer, time } = value as Record<
    string,
    unknown
  >;
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
  return {
    ...{ serial, spiffeId, workload, group, notAfterMs, issuedAtMs, how: how as IssuanceHow },
    key: typeof key === "string" ? key : undefined,
    signer: typeof signer === "string" ? signer : undefined,
  };
}
