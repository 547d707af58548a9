/** Reads what `bun test` says at its end. */

export interface TestSummary {
  readonly passed: number;
  readonly failed: number;
}

/** Counts of one run; a run that ended badly without a failed test (a crash, a file that does not load) is one failure. */
export function readSummary(output: string, exitCode: number): TestSummary {
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
  const passed = lastCount(plain, /^ *(\d+) pass$/gm);
  const failed = lastCount(plain, /^ *(\d+) fail$/gm);
  return { passed, failed: exitCode !== 0 && failed === 0 ? 1 : failed };
}

function lastCount(text: string, pattern: RegExp): number {
  return Number([...text.matchAll(pattern)].at(-1)?.[1] ?? 0);
}
