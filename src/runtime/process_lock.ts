/** What one process alone may have for as long as it lives: a lock on a file, which the kernel takes from it at its end. */
import { closeSync, openSync } from "node:fs";
import { libcFunction } from "./libc.ts";

/** flock(2). */
const LOCK_EX_NB = 2 | 4;
const LOCK_UN = 8;

/**
 * Locks a file, which is made if it is not there. Returns how to give it back; null: another process has it. Where no
 * such file can be made, or the file system has no locks, whoever asks has it.
 */
export function lockFile(path: string): (() => void) | null {
  const flock = libcFunction<(fd: number, operation: number) => number>("flock", {
    args: ["i32", "i32"],
    returns: "i32",
  });
  // Closed on exec: no child has the lock after its parent.
  const fd = openToWrite(path);
  if (fd === null) return () => {};
  // Nobody is refused an unlock, unless there are no locks.
  const isTaken = flock !== null && flock(fd, LOCK_EX_NB) !== 0 && flock(fd, LOCK_UN) === 0;
  if (!isTaken) return () => closeSync(fd);
  closeSync(fd);
  return null;
}

function openToWrite(path: string): number | null {
  try {
    return openSync(path, "a", 0o600);
  } catch {
    return null;
  }
}
