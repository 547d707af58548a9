/**
 * Certificates that hold no more although they have not expired, in `revoked.json`: replaced as a whole, so that a crash
 * leaves the list before or the list after. When one expires proxies need to know of it no more; it stays on the books
 * for as long as somebody might come back with it.
 */
import { compareTexts } from "../lib/compare_texts.ts";
import type { Clock } from "../lib/clock.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import type { RevokedIdentity } from "../model/snapshot.ts";
import { BACK_DATE_MS } from "./certificate_times.ts";
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
  /** When it was revoked once more; absent: never. */
  readonly againAtMs?: number;
}

type NewRevocation = Omit<Revocation, "revokedAtMs" | "againAtMs">;

export class RevocationList {
  readonly #path: string;
  readonly #files: PrivateFiles;
  readonly #clock: Clock;
  #bySerial: ReadonlyMap<string, Revocation>;
  /** Serial numbers on their way to the disk. */
  readonly #adding = new Set<ReadonlySet<string>>();
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
    return this.#bySerial.has(serial) || [...this.#adding].some((serials) => serials.has(serial));
  }

  /** Revoked certificates that have not expired by any clock of the mesh, by serial number. */
  current(): Revocation[] {
    return this.#until(currentSince(this.#clock.now())).sort((one, other) =>
      compareTexts(one.serial, other.serial)
    );
  }

  /**
   * Whose the certificates on the books are, sorted, and which others of theirs may be of those who were shut out: all
   * that had ended when it was done last, or that end no later than one of which current() tells no more.
   */
  identities(): RevokedIdentity[] {
    const now = this.#clock.now();
    const endedBy = new Map<string, number>();
    for (const revocation of this.#until(now - REVOCATION_KEPT_MS)) {
      const { spiffeId, notAfterMs, revokedAtMs, againAtMs = revokedAtMs } = revocation;
      const toldUntilMs = notAfterMs < currentSince(now) ? notAfterMs : 0;
      endedBy.set(spiffeId, Math.max(endedBy.get(spiffeId) ?? 0, againAtMs, toldUntilMs));
    }
    return [...endedBy].sort(([one], [other]) => compareTexts(one, other))
      .map(([spiffeId, endedByMs]) => ({ spiffeId, endedByMs }));
  }

  /**
   * They hold no more from this moment on, so that nobody renews one meanwhile; on the disk when it resolves. Throws
   * PrivateFileError, CitadelError `request_invalid`; then nothing has changed.
   */
  async add(revocations: readonly NewRevocation[]): Promise<void> {
    const serials = new Set(revocations.map(({ serial }) => serial));
    this.#adding.add(serials);
    // One after the other: each writes what the one before it left.
    const done = this.#writing.then(() => this.#add(revocations));
    this.#writing = done.catch(() => {});
    await done.finally(() => this.#adding.delete(serials));
  }

  /** Revoked certificates that end at that time or later. */
  #until(timeMs: number): Revocation[] {
    return [...this.#bySerial.values()].filter(({ notAfterMs }) => notAfterMs >= timeMs);
  }

  async #add(revocations: readonly NewRevocation[]): Promise<void> {
    const revokedAtMs = this.#clock.now();
    const kept = this.#until(revokedAtMs - REVOCATION_KEPT_MS);
    const next = new Map(kept.map((each) => [each.serial, each]));
    for (const { serial, spiffeId, notAfterMs } of revocations) {
      const known = next.get(serial);
      const times = known === undefined ? { revokedAtMs } : { ...known, againAtMs: revokedAtMs };
      next.set(serial, { serial, spiffeId, notAfterMs, ...times });
    }
    const current = [...next.values()].filter(({ notAfterMs }) => notAfterMs >= currentSince(revokedAtMs));
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

/** What ended before has expired by any clock of the mesh: by one that is behind as far as it may be, too. */
function currentSince(nowMs: number): number {
  return nowMs - BACK_DATE_MS;
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
