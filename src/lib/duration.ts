/** Durations as Go writes them, which is how Istio's files and the flags have them: `15m`, `1h30m`, `250ms`. */

/** Milliseconds of a unit. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

const TERM = "([0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)";
const WHOLE = new RegExp(`^(?:0|(?:${TERM})+)$`);

/** No more is needed, and no more is scanned. */
export const DURATION_LENGTH_MAX = 64;

/** A duration as somebody would write it, in the longest unit that fits: `24h`, `90s`, `250ms`. */
export function formatDuration(ms: number): string {
  const unit = ["h", "m", "s"].find((unit) => ms > 0 && ms % (UNITS[unit] as number) === 0) ?? "ms";
  return `${ms / (UNITS[unit] as number)}${unit}`;
}

/** Milliseconds, fractions included; undefined unless it is what Go's time.ParseDuration takes and not negative. */
export function parseDuration(text: string): number | undefined {
  if (text.length > DURATION_LENGTH_MAX || !WHOLE.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(new RegExp(TERM, "g"))) {
    total += Number(amount) * (UNITS[unit as string] as number);
  }
  return total;
}
