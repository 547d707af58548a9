import { describe, expect, test } from "bun:test";
import { readContentLength } from "../../../src/proxy/message_syntax.ts";

describe("readContentLength()", () => {
  test("reads decimal digits, no more than 15 of them", () => {
    for (const text of ["0", "00", "7", "66", "1048576", "9".repeat(15)]) {
      expect(readContentLength(text)).toBe(Number(text));
    }
  });

  test("refuses what is no length", () => {
    for (
      const text of ["", "9".repeat(16), "-1", "+1", "1.5", "1e3", "0x1", " 1", "1 ", "1,1", "/", ":", "١"]
    ) {
      expect(readContentLength(text)).toBe(-1);
    }
  });
});
