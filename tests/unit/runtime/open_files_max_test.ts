import { describe, expect, test } from "bun:test";
import { OPEN_FILES_ASSUMED, openFilesMax, readOpenFilesMax } from "../../../src/runtime/open_files_max.ts";

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max processes             7823                 7823                 processes
Max open files            256                  524288               files
Max locked memory         8388608              8388608              bytes
`;

describe("openFilesMax()", () => {
  test("readOpenFilesMax() takes the soft limit", () => expect(readOpenFilesMax(LIMITS)).toBe(256));

  test("readOpenFilesMax() assumes Linux's own limit where there is none", () => {
    expect(readOpenFilesMax("")).toBe(OPEN_FILES_ASSUMED);
    expect(readOpenFilesMax(LIMITS.replace("256", "unlimited"))).toBe(OPEN_FILES_ASSUMED);
  });

  test("openFilesMax() is what the kernel holds this process to", () => {
    const { stdout } = Bun.spawnSync([
      "prlimit",
      "--pid",
      `${process.pid}`,
      "--nofile",
      "-o",
      "SOFT",
      "--noheadings",
    ]);
    expect(openFilesMax()).toBe(Number(stdout.toString()));
  });
});
