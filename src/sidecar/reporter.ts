/** Tells the control plane's telemetry store what the proxy counted, as differences, and keeps them while it is away. */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/message_of.ts";
import { type EdgeReport, REPORT_EDGES_MAX, type TelemetryReport, withoutDetail } from "../model/report.ts";
import type { CallReport } from "../model/recorded_call.ts";
import type { WorkloadKey } from "../model/workload.ts";
import type { CallRecorder } from "../telemetry/call_recorder.ts";
import type { EdgeRegistry } from "../telemetry/edge_metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { ControlClient } from "./control_client.ts";
import { refusalOf } from "./refusal_of.ts";

/** Time between reports; nothing is sent when nothing happened. */
export const REPORT_INTERVAL_MS = 1_000;

/** Edge reports kept while the control plane is away; the oldest go first. The proxy's own metrics lose nothing. */
export const REPORTS_KEPT_MAX = 10_000;

export interface ReporterOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly client: ControlClient;
  readonly workload: WorkloadKey;
  readonly edges: EdgeRegistry;
  readonly calls: CallRecorder;
}

export class Reporter {
  readonly #options: ReporterOptions;
  #waiting: EdgeReport[] = [];
  /** Was not sent yet; what comes after it waits in the recorder. */
  #waitingCalls: CallReport | null = null;
  #cancel: () => void = () => {};
  #stopped = false;
  /** The report that is on its way, if any: two at once would tell the same twice. */
  #reporting: Promise<void> = Promise.resolve();
  #failing = false;
  /** Why the last report was refused, so that the log says it once. */
  #refusal: string | null = null;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#stopped) return;
    this.#cancel = this.#options.clock.after(
      REPORT_INTERVAL_MS,
      () => void this.report().then(() => this.start()),
    );
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** Stops, and tells what is left: a control plane that does not answer is waited for no longer than `ms`. */
  async finish(ms: number): Promise<void> {
    this.stop();
    const timeUp = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(ms, timeUp.resolve);
    await Promise.race([this.report(), timeUp.promise]);
    cancel();
  }

  /** Sends what is there; never rejects. */
  report(): Promise<void> {
    return this.#reporting = this.#reporting.then(() => this.#report());
  }

  async #report(): Promise<void> {
    const { client, edges, calls, workload } = this.#options;
    this.#waiting.push(...edges.takeReport().flatMap((report) => withoutDetail(report) ?? []));
    const excess = this.#waiting.length - REPORTS_KEPT_MAX;
    if (excess > 0) this.#waiting.splice(0, excess);
    this.#waitingCalls ??= reportOf(calls);
    while (this.#waiting.length > 0 || this.#waitingCalls !== null) {
      const batch = this.#waiting.slice(0, REPORT_EDGES_MAX);
      const report: TelemetryReport = this.#waitingCalls === null
        ? { edges: batch }
        : { edges: batch, calls: { workload, ...this.#waitingCalls } };
      try {
        const { status, body } = await client.post("/v1/report", report);
        if (status >= 500) return this.#tellFailure(`it answered ${status}: ${refusalOf(body).message}`);
        this.#failing = false;
        // A report that is refused will not be taken the next time either.
        this.#tellRefusal(status < 400 ? null : refusalOf(body).message);
      } catch (error) {
        return this.#tellFailure(messageOf(error));
      }
      this.#waiting.splice(0, batch.length);
      this.#waitingCalls = null;
    }
  }

  #tellFailure(reason: string): void {
    if (!this.#failing) {
      this.#options.log.warn("Cannot report telemetry; keeping it for later", { reason });
    }
    this.#failing = true;
  }

  #tellRefusal(reason: string | null): void {
    if (reason !== null && reason !== this.#refusal) {
      this.#options.log.warn("The control plane refuses telemetry; it is lost", { reason });
    }
    this.#refusal = reason;
  }
}

/** Null: nothing came. */
function reportOf(recorder: CallRecorder): CallReport | null {
  const report = recorder.takeReport();
  return report.calls.length === 0 && report.omitted === 0 ? null : report;
}
