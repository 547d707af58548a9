/** Tells the control plane's telemetry store what the proxy counted, as differences, and keeps them while it is away. */
import type { Clock } from "../lib/clock.ts";
import { type EdgeReport, REPORT_EDGES_MAX, withoutDetail } from "../model/report.ts";
import type { EdgeRegistry } from "../telemetry/edge_metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { ControlClient } from "./control_client.ts";

/** Time between reports; nothing is sent when nothing happened. */
export const REPORT_INTERVAL_MS = 1_000;

/** Edge reports kept while the control plane is away; the oldest go first. The proxy's own metrics lose nothing. */
export const REPORTS_KEPT_MAX = 10_000;

export interface ReporterOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly client: ControlClient;
  readonly edges: EdgeRegistry;
}

export class Reporter {
  readonly #options: ReporterOptions;
  #waiting: EdgeReport[] = [];
  #cancel: () => void = () => {};
  #failing = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#cancel = this.#options.clock.after(
      REPORT_INTERVAL_MS,
      () => void this.report().then(() => this.start()),
    );
  }

  stop(): void {
    this.#cancel();
  }

  /** Sends what is there; never throws. */
  async report(): Promise<void> {
    const { client, edges, log } = this.#options;
    this.#waiting.push(...edges.takeReport().flatMap((report) => withoutDetail(report) ?? []));
    const excess = this.#waiting.length - REPORTS_KEPT_MAX;
    if (excess > 0) this.#waiting.splice(0, excess);
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, REPORT_EDGES_MAX);
      try {
        const { status } = await client.post("/v1/report", { edges: batch });
        if (status >= 500) return;
        this.#failing = false;
        // A report that is refused will not be taken the next time either.
        if (status >= 400) log.warn("The control plane refused a telemetry report", { status });
      } catch (error) {
        if (!this.#failing) {
          log.warn("Cannot report telemetry; keeping it for later", { reason: String(error) });
        }
        this.#failing = true;
        return;
      }
      this.#waiting.splice(0, batch.length);
    }
  }
}
