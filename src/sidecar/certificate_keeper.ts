/**
 * Holds the current certificate and sees to it that it never dies: renews at half of its life, and goes on trying. One
 * that expired nevertheless, since the control plane was away for so long, is replaced by its key as soon as it is back.
 */
import { certificateExpiries, type CertificateExpiry } from "../identity/certificate_expiries.ts";
import {
  type CertificateInfo,
  certificateInfo,
  nextRenewalTimeMs,
  renewalTimeMs,
} from "../identity/certificate_info.ts";
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { afterDue } from "../lib/due_timer.ts";
import { messageOf } from "../lib/message_of.ts";
import type { Random } from "../lib/prng.ts";
import { readTrustBundle } from "../identity/trust_bundle.ts";
import type { Trust } from "../model/snapshot.ts";
import type { Log } from "../telemetry/log.ts";
import type { ControlClient } from "./control_client.ts";
import { ControlPlaneUnreachable } from "./control_plane_unreachable.ts";
import { renew } from "./enrolment.ts";
import type { SidecarIdentity } from "./identity_state.ts";

const BACKOFF_BASE_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;
/** After a change of the root everybody renews, but not at the same moment. */
const ROLLOVER_SPREAD_MS = 15_000;
/** Without a certificate the workload is out of the mesh: then nobody waits for long. */
const EXPIRED_BACKOFF_MAX_MS = 4_000;

export interface CertificateKeeperOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** A client that shows the current certificate. */
  readonly client: ControlClient;
  /** The identity with a new certificate, by the key of the one that has expired. */
  rejoin(identity: SidecarIdentity): Promise<SidecarIdentity>;
  /** Takes a renewed identity into use at once, and resolves when it is on disk. */
  save(identity: SidecarIdentity): Promise<void>;
}

export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #backoff: Backoff;
  readonly #expiredBackoff: Backoff;
  #identity: SidecarIdentity;
  /** What its certificate says: whoever asks for readiness needs it, again and again. */
  #info: CertificateInfo;
  /** What the control plane has said last; null: nothing, so that renewals alone tell of roots. */
  #trust: Trust | null = null;
  #rootsOnDisk: string;
  #cancel: () => void = () => {};
  #renewing = false;
  #stopped = false;

  constructor(options: CertificateKeeperOptions, identity: SidecarIdentity) {
    this.#options = options;
    this.#identity = identity;
    this.#rootsOnDisk = identity.roots;
    this.#info = certificateInfo(identity.chain);
    const { random } = options;
    this.#backoff = new Backoff({ baseMs: BACKOFF_BASE_MS, maxMs: BACKOFF_MAX_MS, random });
    this.#expiredBackoff = new Backoff({ baseMs: BACKOFF_BASE_MS, maxMs: EXPIRED_BACKOFF_MAX_MS, random });
  }

  get identity(): SidecarIdentity {
    return this.#identity;
  }

  /** Of the current certificate and of those that it depends on. */
  get expiries(): readonly CertificateExpiry[] {
    return certificateExpiries(this.#identity.chain, this.#identity.roots);
  }

  /** Milliseconds since 1970. */
  get notAfterMs(): number {
    return this.#info.notAfterMs;
  }

  start(): void {
    const { clock, random } = this.#options;
    this.#plan(renewalTimeMs(this.#info, random) - clock.now());
  }

  #plan(dueMs: number): void {
    const { random } = this.#options;
    const isOfAnother = this.#trust !== null && this.#trust.signer !== this.#info.signer;
    this.#renewAfter(isOfAnother ? Math.min(dueMs, random.float() * ROLLOVER_SPREAD_MS) : dueMs);
  }

  /**
   * Trusts these roots and no others from the next connection on, and sees to it that the certificate is one that the
   * signer signed. Resolves when that is on disk. Throws IdentityError for roots that are none; PrivateFileError.
   */
  async useTrust(trust: Trust): Promise<void> {
    if (this.#trust?.roots === trust.roots && this.#trust.signer === trust.signer) return;
    await readTrustBundle(trust.roots);
    if (trust.roots !== this.#identity.roots) this.#identity = { ...this.#identity, roots: trust.roots };
    if (trust.roots !== this.#rootsOnDisk) {
      await this.#options.save(this.#identity);
      this.#rootsOnDisk = trust.roots;
    }
    this.#trust = trust;
    // A renewal that is on its way plans the next one, by what was said here, when it ends.
    if (trust.signer === this.#info.signer || this.#renewing) return;
    this.#cancel();
    this.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #renewAfter(ms: number): void {
    if (!this.#stopped) this.#cancel = afterDue(this.#options.clock, ms, () => void this.#renew());
  }

  get #hasExpired(): boolean {
    return this.notAfterMs <= this.#options.clock.now();
  }

  async #renew(): Promise<void> {
    const { client, clock, log, random, rejoin } = this.#options;
    this.#renewing = true;
    try {
      const before = this.#identity;
      const answer = await (this.#hasExpired ? rejoin(before) : renew(before, client, clock));
      // What was said of roots meanwhile is newer.
      const { roots } = this.#identity === before ? answer : this.#identity;
      const renewed = { ...answer, roots };
      this.#info = certificateInfo(renewed.chain);
      this.#identity = renewed;
      this.#backoff.reset();
      this.#expiredBackoff.reset();
      const { serial, notAfterMs } = this.#info;
      log.info("Renewed the certificate", { serial, notAfter: new Date(notAfterMs).toISOString() });
      const now = clock.now();
      this.#plan(nextRenewalTimeMs(this.#info, random, now) - now);
      void this.#save(renewed);
    } catch (error) {
      this.#tryAgain(error);
    } finally {
      this.#renewing = false;
    }
  }

  #tryAgain(error: unknown): void {
    const { clock, log } = this.#options;
    const leftMs = this.notAfterMs - clock.now();
    log.warn("Could not renew the certificate; trying again", {
      reason: messageOf(error),
      expiresInSeconds: Math.round(leftMs / 1000),
    });
    const heldMs = error instanceof ControlPlaneUnreachable ? error.retryAfterMs : 0;
    const waitMs = Math.max(heldMs, (this.#hasExpired ? this.#expiredBackoff : this.#backoff).next());
    // What was planned before the end is not waited for beyond it.
    this.#renewAfter(leftMs > 0 ? Math.min(waitMs, leftMs) : waitMs);
  }

  /** It is in use; without a copy on disk a restart would come back with the one before, and that is all. */
  async #save(renewed: SidecarIdentity): Promise<void> {
    const { clock, log, save } = this.#options;
    try {
      await save(renewed);
      this.#rootsOnDisk = renewed.roots;
    } catch (error) {
      log.warn("Could not keep the renewed certificate on disk; trying again", { reason: messageOf(error) });
      clock.after(BACKOFF_MAX_MS, () => {
        // What it trusts may have changed since.
        const { chain } = this.#identity;
        if (!this.#stopped && chain === renewed.chain) void this.#save(this.#identity);
      });
    }
  }
}
