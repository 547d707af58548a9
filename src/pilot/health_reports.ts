/** What workloads' probes say, as their proxies reported it last. */
import type { WorkloadHealth } from "../model/health_probe.ts";
import type { WorkloadKey } from "../model/workload.ts";

export class HealthReports {
  /** The last report of each workload whose proxy knows of probes at all. */
  readonly #last = new Map<WorkloadKey, WorkloadHealth>();

  /**
   * A report. Who does not know yet says nothing new: after a restart of the sidecar what was true before holds until
   * the probe has spoken. Who knows no probes (undefined) is healthy.
   */
  set(key: WorkloadKey, health: WorkloadHealth | undefined): void {
    if (health === undefined) this.#last.delete(key);
    else if (health !== "unknown" || !this.#last.has(key)) this.#last.set(key, health);
  }

  /** The workload is gone for good. */
  forget(key: WorkloadKey): void {
    this.#last.delete(key);
  }

  /** Whether a workload that is probed may be called. Until its probe has said so it may not, as in Istio. */
  isHealthy(key: WorkloadKey): boolean {
    const last = this.#last.get(key);
    return last === undefined || last === "healthy";
  }
}
