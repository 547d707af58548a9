/** Brings together those who watch calls and the proxies that tell of them. */
import type { Clock } from "../lib/clock.ts";
import { TAP_LEASE_MS, TAP_RENEW_MS, type WorkloadTap } from "../model/tap.ts";
import type { WorkloadKey } from "../model/workload.ts";

/** Who watch at once; further ones are refused. */
export const TAP_WATCHERS_MAX = 16;

export interface TapWatcher {
  /** Whose calls; null: everybody's. */
  readonly workload: WorkloadKey | null;
  onReport(report: WorkloadTap): void;
}

export interface TapHubOptions {
  readonly clock: Clock;
  /** Asks the proxies of a workload, or all with null, to tell of their calls for so long. */
  ask(workload: WorkloadKey | null, leaseMs: number): void;
}

export class TapHub {
  readonly #options: TapHubOptions;
  readonly #watchers = new Set<TapWatcher>();
  #cancelRenewal: (() => void) | null = null;

  constructor(options: TapHubOptions) {
    this.#options = options;
  }

  /** Returns how to stop watching; null: too many watch already. */
  watch(watcher: TapWatcher): (() => void) | null {
    if (this.#watchers.size >= TAP_WATCHERS_MAX) return null;
    this.#watchers.add(watcher);
    this.#options.ask(watcher.workload, TAP_LEASE_MS);
    if (this.#cancelRenewal === null) this.#renewLater();
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.close();
    };
  }

  /** Hands on what the proxy of a workload told. */
  add(report: WorkloadTap): void {
    for (const watcher of this.#watchers) {
      if (watcher.workload === null || watcher.workload === report.workload) watcher.onReport(report);
    }
  }

  close(): void {
    this.#cancelRenewal?.();
    this.#cancelRenewal = null;
  }

  #renewLater(): void {
    this.#cancelRenewal = this.#options.clock.after(TAP_RENEW_MS, () => {
      const wanted = new Set([...this.#watchers].map(({ workload }) => workload));
      for (const workload of wanted.has(null) ? [null] : wanted) this.#options.ask(workload, TAP_LEASE_MS);
      this.#renewLater();
    });
  }
}
