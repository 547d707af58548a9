/** What a proxy found out about an endpoint of a cluster by using it; outlives snapshots. */
import type { ResetReason } from "../../exchange.ts";

/** Whoever judges an endpoint by what became of attempts. */
export interface OutcomeJudge {
  /** As `EndpointHealth.report`. */
  report(health: EndpointHealth, status: number, reason: ResetReason | null): void;
}

export class EndpointHealth {
  /** Monotonic; -Infinity: it was there from the start, and is warm. */
  healthySinceMs: number;
  /** Monotonic; null: it is not ejected. */
  ejectedAtMs: number | null = null;
  /** How many times the base ejection time it stays out; grows with every ejection, shrinks with every quiet interval. */
  ejections = 0;
  errors5xx = 0;
  gatewayErrors = 0;
  localOriginFailures = 0;
  /** Who judges it now; null: nobody, or the cluster has it no more. */
  detector: OutcomeJudge | null = null;

  constructor(healthySinceMs: number) {
    this.healthySinceMs = healthySinceMs;
  }

  /** The outcome of one attempt: the status that the upstream answered, or why there was none (status 0). */
  report(status: number, reason: ResetReason | null): void {
    if (this.detector !== null) this.detector.report(this, status, reason);
  }

  forgetErrors(): void {
    this.errors5xx = 0;
    this.gatewayErrors = 0;
    this.localOriginFailures = 0;
  }
}
