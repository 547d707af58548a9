/**
 * Asks the workload every so often how it is, and says when the answer has changed for good. What is good or bad only
 * counts when it comes several times in a row, as the probe says.
 */
import type { Clock } from "../../lib/clock.ts";
import type { HealthProbe, WorkloadHealth } from "../../model/health_probe.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Check } from "./check.ts";

export interface HealthProberOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly check: Check;
  /** Called when the health is another than before. */
  onChange(health: WorkloadHealth): void;
}

export class HealthProber {
  readonly #options: HealthProberOptions;
  readonly #startedMs: number;
  #health: WorkloadHealth = "unknown";
  #probe: HealthProbe | null = null;
  /** Ends what is under way; null: nobody asks. */
  #running: AbortController | null = null;
  #cancelNext: () => void = () => {};
  /** Answers of one kind in a row. */
  #goods = 0;
  #bads = 0;
  /** Answers of each kind since the start, for metrics. */
  readonly answers = { good: 0, bad: 0 };

  constructor(options: HealthProberOptions) {
    this.#options = options;
    this.#startedMs = options.clock.monotonic();
  }

  get health(): WorkloadHealth {
    return this.#health;
  }

  /** There is something that the workload is asked. */
  get isProbing(): boolean {
    return this.#probe !== null;
  }

  /**
   * What the configuration says now; null: nothing is asked, and the workload counts as healthy. A new probe begins
   * with what the one before has found, so that nothing changes before it has spoken.
   */
  use(probe: HealthProbe | null): void {
    if (this.#running !== null && JSON.stringify(probe) === JSON.stringify(this.#probe)) return;
    this.stop();
    this.#probe = probe;
    this.#goods = this.#bads = 0;
    if (probe === null) return this.#become("healthy", null);
    this.#running = new AbortController();
    const sinceStartMs = this.#options.clock.monotonic() - this.#startedMs;
    this.#askAfter(Math.max(0, probe.initialDelayMs - sinceStartMs), probe, this.#running);
  }

  /** Asks no more; what is being asked is ended. */
  stop(): void {
    this.#cancelNext();
    this.#running?.abort();
    this.#running = null;
  }

  #askAfter(delayMs: number, probe: HealthProbe, run: AbortController): void {
    this.#cancelNext = this.#options.clock.after(delayMs, () => void this.#ask(probe, run));
  }

  async #ask(probe: HealthProbe, run: AbortController): Promise<void> {
    const { clock, check } = this.#options;
    const askedMs = clock.monotonic();
    const trouble = await check(probe, run.signal);
    if (run.signal.aborted) return;
    this.#count(trouble, probe);
    this.#askAfter(Math.max(0, askedMs + probe.periodMs - clock.monotonic()), probe, run);
  }

  #count(trouble: string | null, { successThreshold, failureThreshold }: HealthProbe): void {
    if (trouble === null) {
      this.answers.good++;
      this.#bads = 0;
      if (++this.#goods >= successThreshold) this.#become("healthy", null);
    } else {
      this.answers.bad++;
      this.#goods = 0;
      if (++this.#bads >= failureThreshold) this.#become("unhealthy", trouble);
    }
  }

  #become(health: WorkloadHealth, trouble: string | null): void {
    if (this.#health === health) return;
    const { log, onChange } = this.#options;
    const before = this.#health;
    this.#health = health;
    if (trouble !== null) {
      log.warn("The workload is unhealthy: nobody is sent to it until its probe succeeds", {
        reason: trouble,
      });
    } else if (this.#probe !== null) log.info("The workload is healthy", { before });
    onChange(health);
  }
}
