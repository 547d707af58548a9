/** The memory that the executable's code takes. */
import { readFileSync, readlinkSync } from "node:fs";
import { libcFunction } from "./libc.ts";

/** madvise(2): what is mapped from a file is read from it again when somebody needs it. */
const MADV_DONTNEED = 4;

/**
 * Gives back the pages of code that only the start has run, a quarter of what an idle sidecar takes. Those that are
 * needed come back one by one, from the system's page cache. Where the system does not do it, all of them stay.
 */
export function releaseExecutablePages(): void {
  const madvise = libcFunction<(address: number, bytes: number, advice: number) => number>("madvise", {
    args: ["usize", "usize", "i32"],
    returns: "i32",
  });
  for (const { start, end } of executableCode()) madvise?.(start, end - start, MADV_DONTNEED);
}

/** Code alone, which nothing writes to: pages of data would lose what the process has written there. */
function executableCode(): readonly { readonly start: number; readonly end: number }[] {
  try {
    return findCode(readFileSync("/proc/self/maps", "utf8"), readlinkSync("/proc/self/exe"));
  } catch {
    return [];
  }
}

/** `maps` is /proc/PID/maps (proc_pid_maps(5)): addresses, permissions, offset, device, inode, and the file's path. */
export function findCode(
  maps: string,
  executable: string,
): readonly { readonly start: number; readonly end: number }[] {
  return maps.split("\n").flatMap((line) => {
    const [, start, end, path] = /^([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ \S+ +(.+)$/.exec(line) ?? [];
    if (start === undefined || end === undefined || path !== executable) return [];
    return [{ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) }];
  });
}
