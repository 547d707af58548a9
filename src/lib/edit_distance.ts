/** "Did you mean": the nearest of some known words to one that somebody typed. */

/** Longer words are compared by their first characters alone: the table below grows with the product of the lengths. */
export const COMPARED_LENGTH_MAX = 64;

/**
 * How many single-character insertions, deletions, replacements and swaps of neighbours turn `from` into `to`
 * (optimal string alignment).
 */
export function editDistance(from: string, to: string): number {
  const a = from.slice(0, COMPARED_LENGTH_MAX);
  const b = to.slice(0, COMPARED_LENGTH_MAX);
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) cost = Math.min(cost, at(beforeLast, column - 2) + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return at(last, b.length);
}

/**
 * The candidate that `word` most likely meant, or undefined when none is near: at most a third of its characters
 * differ. Case does not count; of equally near ones the first wins.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    const allowed = Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3));
    if (distance <= allowed && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function at(row: readonly number[], column: number): number {
  return row[column] as number;
}
