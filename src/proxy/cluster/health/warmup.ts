/** The share of its weight that an endpoint gets while it warms up (Envoy's slow start). */
import type { Warmup } from "../../../model/cluster.ts";

/** Above 0, up to 1. `ageMs`: since the endpoint came, or was found healthy again. */
export function warmth(ageMs: number, { durationMs, minimumPercent, aggression }: Warmup): number {
  if (ageMs >= durationMs) return 1;
  // The first millisecond counts as passed, and a minimum of 0 is not nothing: weights stay above 0.
  const grown = (Math.max(1, ageMs) / durationMs) ** (1 / aggression);
  return Math.max(minimumPercent / 100, grown);
}
