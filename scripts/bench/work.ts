/** A kind of work that the pairs are put to; each stands in a file of its own in works/. */
import type { Pair } from "./pair.ts";
import { type Digits, type Row, type Spread, spread } from "./row.ts";

export interface Bench {
  readonly pairs: readonly Pair[];
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** Of full load for the memory's sake. */
  readonly soakSeconds: number;
  /** For files. */
  readonly directory: string;
}

export interface Work {
  /** For `--only`. */
  readonly name: string;
  /** Traffic of its kind, for so many seconds, once for each pair before anything is measured. @default that of HTTP/1.1 */
  warmUp?(pair: Pair, bench: Bench, seconds: number): Promise<void>;
  run(bench: Bench): Promise<Row[]>;
}

export interface Comparison {
  readonly work: string;
  readonly unit: string;
  readonly digits: Digits;
  readonly better: Row["better"];
  readonly goal: string;
}

/** Lets the pairs take turns, so that a machine whose speed drifts treats all alike. Null: the pair cannot do it. */
export async function compare(
  bench: Bench,
  comparison: Comparison,
  measure: (pair: Pair) => Promise<number> | number | null,
): Promise<Row> {
  const samples = new Map<string, number[]>();
  for (let round = 0; round < bench.rounds; round++) {
    for (const pair of bench.pairs) {
      const sample = await measure(pair);
      if (sample !== null) samples.set(pair.name, [...(samples.get(pair.name) ?? []), sample]);
    }
  }
  return { ...comparison, results: summarize(samples) };
}

export function summarize(samples: ReadonlyMap<string, readonly number[]>): Record<string, Spread> {
  return Object.fromEntries([...samples].map(([name, all]) => [name, spread(all)]));
}
