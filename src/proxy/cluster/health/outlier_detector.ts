/**
 * Takes endpoints that keep failing out of a cluster for a while, and lets them back (Envoy's outlier detection, as
 * Istio sets it up). One deadline for each cluster that has something to wait for, none for an endpoint.
 */
import type { Clock } from "../../../lib/clock.ts";
import type { Timed, TimerWheel } from "../../../lib/timer_wheel.ts";
import type { OutlierDetection } from "../../../model/outlier_detection.ts";
import type { ResetReason } from "../../exchange.ts";
import type { EndpointHealth } from "./endpoint_health.ts";

/** However often it was ejected, an endpoint comes back after this, or after the base time if that is longer (Envoy). */
export const EJECTION_MAX_MS = 300_000;

/** Counts since the cluster came. */
export interface OutlierCounters {
  ejections: number;
  /** Ejections that `maxEjectionPercent` did not allow. */
  overflow: number;
}

export class OutlierDetector implements Timed {
  deadlineMs = 0;
  wheelTick = 0;
  wheelIndex = 0;
  readonly counters: OutlierCounters;
  readonly #config: OutlierDetection;
  readonly #members: readonly EndpointHealth[];
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  readonly #onChange: () => void;
  #ejected: number;

  /** `onChange` is called when somebody was ejected or let back. Judges nobody before `start`. */
  constructor(
    config: OutlierDetection,
    members: readonly EndpointHealth[],
    context: { readonly clock: Clock; readonly wheel: TimerWheel },
    counters: OutlierCounters,
    onChange: () => void,
  ) {
    this.counters = counters;
    this.#config = config;
    this.#members = members;
    this.#clock = context.clock;
    this.#wheel = context.wheel;
    this.#onChange = onChange;
    this.#ejected = members.filter(({ ejectedAtMs }) => ejectedAtMs !== null).length;
  }

  /** From now on the members report here; those that are ejected already stay so until their time is over. */
  start(): void {
    for (const health of this.#members) health.detector = this;
    if (this.#hasToWait) this.#wheel.set(this, this.#config.intervalMs);
  }

  stop(): void {
    this.#wheel.clear(this);
    for (const health of this.#members) if (health.detector === this) health.detector = null;
  }

  /** Endpoints that are out now. */
  get ejected(): number {
    return this.#ejected;
  }

  report(health: EndpointHealth, status: number, reason: ResetReason | null): void {
    if (reason === null) return this.#answered(health, status);
    // Nobody's fault but our own.
    if (reason === "cancelled") return;
    if (!this.#config.splitLocalOrigin) return this.#judge(health, reason === "timeout" ? 504 : 503);
    if (++health.localOriginFailures === this.#config.consecutiveLocalOriginFailures) {
      health.localOriginFailures = this.#eject(health) ? 0 : health.localOriginFailures;
    }
  }

  onDeadline(): void {
    const nowMs = this.#clock.monotonic();
    let changed = false;
    for (const health of this.#members) {
      if (health.ejectedAtMs === null) {
        if (health.ejections > 0) health.ejections--;
      } else if (nowMs - health.ejectedAtMs >= this.#ejectionMs(health)) {
        health.ejectedAtMs = null;
        health.forgetErrors();
        this.#ejected--;
        changed = true;
      }
    }
    if (this.#hasToWait) this.#wheel.set(this, this.#config.intervalMs);
    if (changed) this.#onChange();
  }

  #answered(health: EndpointHealth, status: number): void {
    health.localOriginFailures = 0;
    const { httpErrorCodes } = this.#config;
    if (httpErrorCodes.length === 0) return this.#judge(health, status);
    if (!httpErrorCodes.includes(status)) return this.#judge(health, 200);
    this.#judge(health, Math.max(status, 500));
  }

  #judge(health: EndpointHealth, status: number): void {
    if (status < 500) {
      health.errors5xx = 0;
      health.gatewayErrors = 0;
      return;
    }
    const { consecutiveGatewayErrors, consecutive5xx } = this.#config;
    if (status >= 502 && status <= 504) {
      if (++health.gatewayErrors === consecutiveGatewayErrors && this.#eject(health)) {
        health.gatewayErrors = 0;
      }
    } else {
      health.gatewayErrors = 0;
    }
    if (++health.errors5xx === consecutive5xx && this.#eject(health)) health.errors5xx = 0;
  }

  /** False when it is out already. One that may not be ejected begins anew with its errors as well. */
  #eject(health: EndpointHealth): boolean {
    if (health.ejectedAtMs !== null) return false;
    const { baseEjectionMs, maxEjectionPercent } = this.#config;
    if (100 * (this.#ejected + 1) / this.#members.length > maxEjectionPercent) {
      this.counters.overflow++;
      return true;
    }
    health.ejectedAtMs = this.#clock.monotonic();
    // Growing any further would only make it slower to be forgiven.
    if (health.ejections * baseEjectionMs < EJECTION_MAX_MS + baseEjectionMs) health.ejections++;
    this.#ejected++;
    this.counters.ejections++;
    // A sweep that is due earlier stays.
    if (this.deadlineMs === 0) this.#wheel.set(this, this.#config.intervalMs);
    this.#onChange();
    return true;
  }

  #ejectionMs({ ejections }: EndpointHealth): number {
    const { baseEjectionMs } = this.#config;
    return Math.min(baseEjectionMs * ejections, Math.max(EJECTION_MAX_MS, baseEjectionMs));
  }

  get #hasToWait(): boolean {
    return this.#ejected > 0 || this.#members.some(({ ejections }) => ejections > 0);
  }
}
