import { describe, expect, test } from "bun:test";
import { readSummary } from "../../../scripts/test_summary.ts";

describe("readSummary()", () => {
  test("reads the counts at the end, with colours too", () => {
    expect(readSummary(" 62 pass\n 0 fail\n 718 expect() calls\nRan 62 tests\n", 0)).toEqual({
      passed: 62,
      failed: 0,
    });
    expect(readSummary("\x1b[32m 3 pass\x1b[0m\n\x1b[31m 2 fail\x1b[0m\n", 1)).toEqual({
      passed: 3,
      failed: 2,
    });
  });

  test("believes the last summary, not what a test printed", () => {
    expect(readSummary(" 1 pass\n 9 fail\nmore\n 5 pass\n 0 fail\n", 0)).toEqual({ passed: 5, failed: 0 });
  });

  test("counts a crash as one failure", () => {
    expect(readSummary("panic", 132)).toEqual({ passed: 0, failed: 1 });
    expect(readSummary(" 5 pass\n 0 fail\n 1 error\n", 1)).toEqual({ passed: 5, failed: 1 });
  });
});
