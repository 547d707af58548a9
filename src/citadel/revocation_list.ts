/**
 * Certificates that hold no more although they have not expired, in `revoked.json`: replaced as a whole, so that a crash
 * leaves the list before or the list after. When one expires proxies need to know of it no more; it stays on the books
 * for as long as somebody might come back with it.
 */
import type { Clock } from "../lib/clock.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import { CitadelError } from "./citadel_error.ts";
import { EXPIRED_SHOWN_MS } from "./issuance_log.ts";

/** Every proxy is told of each, and looks for the serial number of each peer among them. */
export const REVOCATIONS_MAX = 10_000;

/** The list's file in its directory. */
export const REVOCATIONS_FILE = "revoked.json";

/** How long after its end a revoked certificate stays on the books. */
export const REVOCATION_KEPT_MS = EXPIRED_SHOWN_MS;

const FILE_BYTES_MAX = 16 * 1024 * 1024;

export interface Revocation {
  /** Lower-case hex. */
  readonly serial: string;
  readonly spiffeId: string;
  readonly notAfterMs: number;
  readonly revokedAtMs: number;
}

export class RevocationList {
  readonly #path: string;
  readonly #files: PrivateFiles;
  readonly #clock: Clock;
  #bySerial: ReadonlyMap<string, Revocation>;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, files: PrivateFiles, clock: Clock, revocations: readonly Revocation[]) {
    this.#path = path;
    this.#files = files;
    this.#clock = clock;
    this.#bySerial = new Map(revocations.map((each) => [each.serial, each]));
  }

  /** Throws PrivateFileError, CitadelError `ca_unusable`: without the list, who was shut out would be let in again. */
  static async open(directory: string, files: PrivateFiles, clock: Clock): Promise<RevocationList> {
    const path = `${directory}/${REVOCATIONS_FILE}`;
    const bytes = await files.read(path, FILE_BYTES_MAX);
    const revocations = bytes === undefined ? [] : readRevocations(bytes, path);
    return new RevocationList(path, files, clock, revocations);
  }

  has(serial: string): boolean {
    return this.#bySerial.has(serial);
  }

  /** Those that have not expired, by serial number. */
  current(): Revocation[] {
    return this.#until(this.#clock.now()).sort((one, other) => one.serial < other.serial ? -1 : 1);
  }

  /** Whose the certificates on the books are, sorted, each once. */
  spiffeIds(): string[] {
    const kept = this.#until(this.#clock.now() - REVOCATION_KEPT_MS);
    return [...new Set(kept.map(({ spiffeId }) => spiffeId))].sort();
  }

  /** On the disk when it resolves. Throws PrivateFileError, CitadelError `request_invalid`; then nothing has changed. */
  add(revocations: readonly Omit<Revocation, "revokedAtMs">[]): Promise<void> {
    // One after the other: each writes what the one before it left.
    const done = this.#writing.then(() => this.#add(revocations));
    this.#writing = done.catch(() => {});
    return done;
  }

  /** Those that end at that time or later. */
  #until(timeMs: number): Revocation[] {
    return [...this.#bySerial.values()].filter(({ notAfterMs }) => notAfterMs >= timeMs);
  }

  async #add(revocations: readonly Omit<Revocation, "revokedAtMs">[]): Promise<void> {
    const revokedAtMs = this.#clock.now();
    const kept = this.#until(revokedAtMs - REVOCATION_KEPT_MS);
    const next = new Map(kept.map((each) => [each.serial, each]));
    for (const { serial, spiffeId, notAfterMs } of revocations) {
      if (!next.has(serial)) next.set(serial, { serial, spiffeId, notAfterMs, revokedAtMs });
    }
    const current = [...next.values()].filter(({ notAfterMs }) => notAfterMs >= revokedAtMs);
    if (current.length > REVOCATIONS_MAX) {
      throw new CitadelError(
        "request_invalid",
        `No more than ${REVOCATIONS_MAX} certificates can be revoked at a time; a shorter --cert-ttl ends them sooner`,
      );
    }
    const text = `${JSON.stringify([...next.values()])}\n`;
    await this.#files.replace(this.#path, new TextEncoder().encode(text));
    this.#bySerial = next;
  }
}

function readRevocations(bytes: Uint8Array, path: string): Revocation[] {
  try {
    const list = JSON.parse(new TextDecoder().decode(bytes)) as Revocation[];
    const isWhole = Array.isArray(list) &&
      list.every((each) =>
        typeof each?.serial === "string" && typeof each.spiffeId === "string" &&
        typeof each.notAfterMs === "number" && typeof each.revokedAtMs === "number"
      );
    if (isWhole) return list;
  } catch {
    // Told below.
  }
  throw new CitadelError(
    "ca_unusable",
    `${path} is not a list of revoked certificates; restore it from a backup, or remove it and revoke again`,
  );
}
