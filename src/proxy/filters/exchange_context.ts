/** What exchanges need from the proxy around them, and share. */
import type { Clock } from "../../lib/clock.ts";
import { TimerWheel } from "../../lib/timer_wheel.ts";
import { DEFAULT_LIMITS, type Limits } from "../../model/limits.ts";
import { Tap } from "../../telemetry/tap.ts";
import { meshHopLimits } from "../mesh_hop.ts";
import { DEADLINE_TICK_MS } from "./deadline.ts";
import type { InFlight } from "./in_flight.ts";
import { ReplayBudget } from "./request_body.ts";

export interface ExchangeContext {
  readonly clock: Clock;
  readonly inFlight: InFlight;
  /** For the timeouts of requests. */
  readonly deadlines: TimerWheel;
  readonly replay: ReplayBudget;
  /** Bytes of a head that goes upstream, whatever rules make of it. */
  readonly headBytesMax: number;
  readonly mirrors: MirrorCount;
  readonly tap: Tap;
}

/** Copies of requests that are on their way. */
export interface MirrorCount {
  count: number;
}

/** The one context of a proxy. */
export function exchangeContext(
  clock: Clock,
  inFlight: InFlight,
  limits: Limits = DEFAULT_LIMITS,
): ExchangeContext {
  return {
    clock,
    inFlight,
    deadlines: new TimerWheel(clock, DEADLINE_TICK_MS),
    replay: new ReplayBudget(limits),
    headBytesMax: meshHopLimits(limits).requestHeaderBytes,
    mirrors: { count: 0 },
    tap: new Tap(clock),
  };
}
