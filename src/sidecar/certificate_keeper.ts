/** Holds the current certificate and sees to it that it never dies: renews at half of its life, and goes on trying. */
import { certificateExpiries, type CertificateExpiry } from "../identity/certificate_expiries.ts";
import { type CertificateInfo, certificateInfo, renewalTimeMs } from "../identity/certificate_info.ts";
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Random } from "../lib/prng.ts";
import type { Log } from "../telemetry/log.ts";
import { type ControlClient, ControlPlaneUnreachable } from "./control_client.ts";
import { renew } from "./enrolment.ts";
import type { SidecarIdentity } from "./identity_state.ts";

const BACKOFF_BASE_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;

export interface CertificateKeeperOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** A client that shows the current certificate. */
  readonly client: ControlClient;
  /** Takes a renewed identity into use and puts it on disk. */
  save(identity: SidecarIdentity): Promise<void>;
}

export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #backoff: Backoff;
  #identity: SidecarIdentity;
  /** What its certificate says: whoever asks for readiness needs it, again and again. */
  #info: CertificateInfo;
  #cancel: () => void = () => {};
  #stopped = false;

  constructor(options: CertificateKeeperOptions, identity: SidecarIdentity) {
    this.#options = options;
    this.#identity = identity;
    this.#info = certificateInfo(identity.chain);
    this.#backoff = new Backoff({ baseMs: BACKOFF_BASE_MS, maxMs: BACKOFF_MAX_MS, random: options.random });
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
    this.#renewAfter(renewalTimeMs(this.#info, random) - clock.now());
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #renewAfter(ms: number): void {
    if (!this.#stopped) this.#cancel = this.#options.clock.after(Math.max(0, ms), () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const { client, log, save } = this.#options;
    try {
      const renewed = await renew(this.#identity, client);
      this.#info = certificateInfo(renewed.chain);
      this.#identity = renewed;
      this.#backoff.reset();
      const { serial, notAfterMs } = this.#info;
      log.info("Renewed the certificate", { serial, notAfter: new Date(notAfterMs).toISOString() });
      this.start();
      await save(renewed);
    } catch (error) {
      const remainingS = Math.round((this.notAfterMs - this.#options.clock.now()) / 1000);
      log.warn("Could not renew the certificate; trying again", {
        reason: String(error),
        expiresInSeconds: remainingS,
      });
      const heldMs = error instanceof ControlPlaneUnreachable ? error.retryAfterMs : 0;
      this.#renewAfter(Math.max(this.#backoff.next(), heldMs));
    }
  }
}
