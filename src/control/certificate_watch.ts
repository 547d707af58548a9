/** Warns of certificates that nobody renews, in time to do something: a workload's, the control plane's, the CA's. */
import type { Clock } from "../lib/clock.ts";
import type { CertificateStatus } from "../model/admin.ts";
import type { Log } from "../telemetry/log.ts";

/** How often it looks. */
export const CERTIFICATE_WATCH_MS = 60_000;

export interface CertificateWatchOptions {
  certificates(): readonly CertificateStatus[];
  readonly clock: Clock;
  readonly log: Log;
}

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  /** `SERIAL STATE` of what was warned of: once each, and no longer than it lasts. */
  #warned: ReadonlySet<string> = new Set();
  #cancel: () => void = () => {};

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#look();
    this.#cancel = this.#options.clock.after(CERTIFICATE_WATCH_MS, () => this.start());
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    const { certificates, log } = this.#options;
    const warned = new Set<string>();
    for (const { kind, identity, workload, serial, notAfter, state } of certificates()) {
      if (state !== "expiring" && state !== "expired") continue;
      const key = `${serial} ${state}`;
      warned.add(key);
      if (this.#warned.has(key)) continue;
      const text = state === "expired"
        ? "A certificate has expired"
        : "A certificate was not renewed in time";
      log.warn(text, { kind, identity, workload, serial, notAfter });
    }
    this.#warned = warned;
  }
}
