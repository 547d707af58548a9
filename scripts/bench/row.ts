/** Results: samples of several rounds become one row of the table, and the rows Markdown or JSON. */

/** Several measurements of one thing, in one unit. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The fractions that a number may have in the table. */
export type Digits = 0 | 1 | 2;

export interface Row {
  readonly work: string;
  readonly unit: string;
  readonly digits: Digits;
  /** Name of the pair -> what was measured. */
  readonly results: Readonly<Record<string, Spread>>;
  /** Which ratio to the others is the better one; null: it says nothing. */
  readonly better: "less" | "more" | null;
  /** As issue and README put it; empty: there is none. */
  readonly goal: string;
}

/** Name of the candidate; all others are yardsticks. */
const CANDIDATE = "bowline";

export function spread(samples: readonly number[]): Spread {
  if (samples.length === 0) throw new Error("There is nothing to summarize");
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    median: percentile(sorted, 0.5),
    min: sorted[0] as number,
    max: sorted.at(-1) as number,
  };
}

/** `share` is from 0 to 1; the nearest rank. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** bowline's median over each yardstick's; none where a ratio says nothing. */
export function ratios({ better, results }: Row): Record<string, number> {
  if (better === null) return {};
  const own = results[CANDIDATE]?.median ?? Number.NaN;
  return Object.fromEntries(
    Object.entries(results)
      .filter(([name]) => name !== CANDIDATE)
      .map(([name, { median }]) => [name, own / median]),
  );
}

export function markdown(rows: readonly Row[], pairs: readonly string[]): string {
  const yardsticks = pairs.filter((name) => name !== CANDIDATE);
  const cells = rows.map((row) => {
    const against = ratios(row);
    const shown = (name: string) => {
      const result = row.results[name];
      return result === undefined ? "–" : show(result, row.digits);
    };
    return [
      ...[row.work, row.unit, ...pairs.map(shown)],
      ...yardsticks.map((name) => against[name]?.toFixed(2) ?? "–"),
      row.goal,
    ];
  });
  const head = ["work", "unit", ...pairs, ...yardsticks.map((name) => `÷ ${name}`), "goal"];
  const lines = [head, head.map(() => "---"), ...cells].map((line) => `| ${line.join(" | ")} |`);
  return lines.join("\n");
}

function show({ median, min, max }: Spread, digits: Digits): string {
  const text = median.toFixed(digits);
  return min === max ? text : `${text} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}
