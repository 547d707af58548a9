/**
 * Who asked for a certificate or a token, from where, by what right, and what came of it: one JSON line each in
 * `audit.jsonl`, only ever added to. It holds no token and no key.
 */
import type { Clock } from "../lib/clock.ts";
import type { PrivateFiles } from "../runtime/private_files.ts";
import type { WorkloadKey } from "../model/workload.ts";
import { Journal } from "./journal.ts";

export type AuditEvent =
  /** A workload came with a token. */
  | "enrol"
  /** A workload came with its certificate. */
  | "renew"
  /** A workload came with the key of an expired one. */
  | "rejoin"
  /** An operator, over the admin socket. */
  | "token-create"
  | "token-revoke"
  | "certificate-revoke"
  | "root-rollover";

export interface AuditEntry {
  readonly event: AuditEvent;
  /** `issued`, `done`, or the code of the refusal. */
  readonly outcome: string;
  /** IP address of the caller; absent on the admin socket. */
  readonly address?: string;
  /** What it came with: `token 4f8a0c5be1d2`, `certificate 5bd2…`. */
  readonly by?: string | undefined;
  readonly workload?: WorkloadKey | null | undefined;
  readonly spiffeId?: string | null | undefined;
  /** Of the certificate that was issued or revoked, lower-case hex. */
  readonly serial?: string | undefined;
  /** Why, in words, when it was refused. */
  readonly detail?: string | undefined;
}

export class AuditLog {
  readonly #journal: Journal;
  readonly #clock: Clock;

  private constructor(journal: Journal, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
  }

  /** The log of a directory that exists. Throws PrivateFileError. */
  static async open(directory: string, files: PrivateFiles, clock: Clock): Promise<AuditLog> {
    const { journal } = await Journal.open({ directory, name: "audit", files, clock });
    return new AuditLog(journal, clock);
  }

  /** On the disk when it resolves. Throws PrivateFileError. */
  async append(entry: AuditEntry): Promise<void> {
    const { event, outcome, ...more } = entry;
    const time = new Date(this.#clock.now()).toISOString();
    await this.#journal.append(JSON.stringify({ time, event, outcome, ...more }));
  }
}
