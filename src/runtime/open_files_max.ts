/** How many descriptors the process may have: what every share of them is a share of. */
import { readFileSync } from "node:fs";

/** What Linux gives to a process when nobody says otherwise; assumed where /proc does not tell. */
export const OPEN_FILES_ASSUMED = 1_024;

/** The soft RLIMIT_NOFILE; descriptors are numbered below it. */
export function openFilesMax(): number {
  try {
    return readOpenFilesMax(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    return OPEN_FILES_ASSUMED;
  }
}

/** `text` is /proc/PID/limits (proc_pid_limits(5)): a name, the soft limit, the hard one, the unit. */
export function readOpenFilesMax(text: string): number {
  const soft = /^Max open files +([0-9]+) /m.exec(text)?.[1];
  return soft === undefined ? OPEN_FILES_ASSUMED : Number(soft);
}
