/** Histograms with fixed upper bounds: counts per bucket, and one more bucket for everything above the last bound. */

/** A new, empty row of counts for these bounds. */
export function emptyCounts(upperBounds: readonly number[]): Float64Array {
  return new Float64Array(upperBounds.length + 1);
}

/**
 * The value below which the given share (0 … 1) of the observations lies, interpolated within its bucket as
 * Prometheus' histogram_quantile() does; the last bound when it lies above that, null without observations.
 */
export function bucketQuantile(
  upperBounds: readonly number[],
  counts: ArrayLike<number>,
  share: number,
): number | null {
  let total = 0;
  for (let index = 0; index <= upperBounds.length; index++) total += counts[index] ?? 0;
  if (total === 0) return null;
  const rank = share * total;
  let below = 0;
  let lower = 0;
  for (let index = 0; index < upperBounds.length; index++) {
    const upper = upperBounds[index] as number;
    const count = counts[index] ?? 0;
    if (count > 0 && below + count >= rank) {
      return lower + (upper - lower) * Math.max(0, (rank - below) / count);
    }
    below += count;
    lower = upper;
  }
  return lower;
}
