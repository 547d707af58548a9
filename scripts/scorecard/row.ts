/** A row of the scorecard: what is done to the mesh, at two sizes, and what was measured against which bar. */

/** `full` is what the scorecard asks for, `small` the same in seconds, for the integration tests. */
export type Size = "full" | "small";

export interface Check {
  readonly what: string;
  readonly bar: string;
  readonly measured: string;
  readonly ok: boolean;
}

export interface Row {
  /** Its number on the scorecard, or a word. */
  readonly name: string;
  readonly what: string;
  run(size: Size, options: RowOptions): Promise<readonly Check[]>;
}

export interface RowOptions {
  /** Of a row that takes as long as it is given. */
  readonly minutes: number;
}

/** A number against the most that it may be. */
export function atMost(what: string, measured: number, bar: number, unit = ""): Check {
  const show = (value: number) =>
    `${Number.isInteger(value) ? value : value.toFixed(2)}${unit && ` ${unit}`}`;
  return { what, bar: `≤ ${show(bar)}`, measured: show(measured), ok: measured <= bar };
}

/** Something that must be exactly so. */
export function exactly(what: string, measured: unknown, expected: unknown): Check {
  return {
    what,
    bar: String(expected),
    measured: String(measured),
    ok: String(measured) === String(expected),
  };
}

/** Nothing failed; how much was tried is told. */
export function noneFailed(what: string, tally: { readonly failed: number; readonly total: number }): Check {
  return {
    what,
    bar: "0 failed",
    measured: `${tally.failed} failed: ${tally}`,
    ok: tally.failed === 0 && tally.total > 0,
  };
}
