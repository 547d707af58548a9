import { expect, test } from "bun:test";
import { readFileSync, readlinkSync } from "node:fs";
import { findCode, releaseExecutablePages } from "../../../src/runtime/executable_pages.ts";

const MAPS = `00200000-02e6a000 r--p 00000000 fe:00 1442 /usr/bin/bowline
02e6b000-066fc000 r-xp 02c6a000 fe:00 1442                       /usr/bin/bowline
066fd000-06c10000 r--p 064fb000 fe:00 1442                       /usr/bin/bowline
06c11000-06c80000 rw-p 06a0e000 fe:00 1442                       /usr/bin/bowline
7f2ab4744000-7f2af4744000 rwxp 00000000 00:00 0 
7f2b10000000-7f2b10155000 r-xp 00026000 fe:00 977                /usr/lib/x86_64-linux-gnu/libc.so.6
`;

test("findCode() finds the executable's own code, and neither its data nor a library's", () => {
  expect(findCode(MAPS, "/usr/bin/bowline")).toEqual([{ start: 0x2e6b000, end: 0x66fc000 }]);
  expect(findCode(MAPS, "/usr/bin/other")).toEqual([]);
  expect(findCode(MAPS.replaceAll("bowline", "bow line (deleted)"), "/usr/bin/bow line (deleted)"))
    .toHaveLength(1);
});

test("releaseExecutablePages() makes the process smaller, which goes on", () => {
  const before = residentCodeKb();
  releaseExecutablePages();
  expect(residentCodeKb()).toBeLessThan(before / 2);
});

/** Of the program that runs this test. */
function residentCodeKb(): number {
  const executable = readlinkSync("/proc/self/exe");
  const mapping = readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-)/m)
    .find((text) =>
      text.split("\n")[0]?.includes(" r-xp ") && text.split("\n")[0]?.endsWith(` ${executable}`)
    );
  return Number(/^Rss: +([0-9]+) kB$/m.exec(mapping ?? "")?.[1]);
}
