/** The certificate of the control plane's own endpoint: renewed at half of its life, and when the CA is another one. */
import type { Citadel } from "../citadel/citadel.ts";
import { CitadelError } from "../citadel/citadel_error.ts";
import type { OwnCertificate } from "../citadel/issuer.ts";
import { nextRenewalTimeMs } from "../identity/certificate_info.ts";
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { afterDue } from "../lib/due_timer.ts";
import { messageOf } from "../lib/message_of.ts";
import type { Random } from "../lib/prng.ts";
import type { Log } from "../telemetry/log.ts";

const BACKOFF_BASE_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;

export interface OwnCertificateOptions {
  readonly citadel: Citadel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class OwnCertificateKeeper {
  readonly #options: OwnCertificateOptions;
  readonly #backoff: Backoff;
  #current: OwnCertificate;
  #cancel: () => void = () => {};
  #stopped = false;

  private constructor(options: OwnCertificateOptions, current: OwnCertificate) {
    this.#options = options;
    this.#current = current;
    const { random } = options;
    this.#backoff = new Backoff({ baseMs: BACKOFF_BASE_MS, maxMs: BACKOFF_MAX_MS, random });
    this.#planRenewal();
  }

  /** Throws CitadelError `storage_failed`. */
  static async start(options: OwnCertificateOptions): Promise<OwnCertificateKeeper> {
    return new OwnCertificateKeeper(options, await options.citadel.issueOwn());
  }

  get current(): OwnCertificate {
    return this.#current;
  }

  /** Has one that is signed as others are now, and trusts whom they trust. Throws CitadelError `storage_failed`. */
  async follow(): Promise<void> {
    const { trust } = this.#options.citadel;
    if (trust.roots === this.#current.roots && trust.signer === this.#current.signer) return;
    await this.#renew();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async #renew(): Promise<void> {
    this.#current = await this.#options.citadel.issueOwn();
    this.#backoff.reset();
    this.#planRenewal();
  }

  #planRenewal(): void {
    const { clock, random } = this.#options;
    const now = clock.now();
    this.#renewAfter(nextRenewalTimeMs(this.#current, random, now) - now);
  }

  #renewAfter(ms: number): void {
    this.#cancel();
    if (this.#stopped) return;
    this.#cancel = afterDue(this.#options.clock, ms, () => {
      this.#renew().catch((error) => {
        const { log } = this.#options;
        const reason = error instanceof CitadelError ? error.detail : messageOf(error);
        log.error("Could not renew the control plane's own certificate", { reason });
        this.#renewAfter(this.#backoff.next());
      });
    });
  }
}
