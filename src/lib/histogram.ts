/** Histograms with fixed upper bounds: counts per bucket, and one more bucket for everything above the last bound. */

/** A new, empty row of counts for these bounds. */
export function emptyCounts(upperBounds: readonly number[]): Float64Array {
  return new Float64Array(upperBounds.length + 1);
}

/** A histogram that grows, and knows how much of it was told already. */
export class Histogram {
  /** Per bucket, not cumulative; the last is for everything above the last bound. */
  readonly counts: Float64Array;
  sum = 0;
  readonly #upperBounds: readonly number[];
  readonly #toldCounts: Float64Array;
  #toldSum = 0;

  constructor(upperBounds: readonly number[]) {
    this.#upperBounds = upperBounds;
    this.counts = emptyCounts(upperBounds);
    this.#toldCounts = emptyCounts(upperBounds);
  }

  /** Counts in the first bucket whose bound is not below the value. */
  record(value: number): void {
    const bounds = this.#upperBounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
  }

  /** Adds what another histogram of these bounds told; counts that are missing at the end are 0. */
  add({ counts, sum }: Distribution): void {
    addCounts(this.counts, counts);
    this.sum += sum;
  }

  /** What came since the last call. */
  take(): Distribution {
    const counts = Array.from(this.counts, (count, i) => count - (this.#toldCounts[i] as number));
    const sum = Math.max(0, this.sum - this.#toldSum);
    this.#toldCounts.set(this.counts);
    this.#toldSum = this.sum;
    return { counts, sum };
  }
}

/** Counts per bucket, and the sum of the values behind them. */
export interface Distribution {
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Adds counts per bucket; those that are missing are 0. */
export function addCounts(
  to: { [bucket: number]: number; readonly length: number },
  from: ArrayLike<number>,
): void {
  for (let bucket = 0; bucket < to.length; bucket++) {
    to[bucket] = (to[bucket] as number) + (from[bucket] ?? 0);
  }
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
