import { describe, expect, test } from "bun:test";
import { isAuthority, readContentLength } from "../../../src/proxy/message_syntax.ts";

describe("isAuthority()", () => {
  test("takes a host, perhaps with a port", () => {
    for (const text of ["web", "web.shop:8080", "WEB.", "web:", "[::1]:80", "10.0.0.1", "a_b", ""]) {
      expect([text, isAuthority(text)]).toEqual([text, true]);
    }
  });

  test("refuses user names, escapes, and what ends a host", () => {
    for (
      const text of [
        "ann@web",
        "w%65b",
        "web%2eshop:80",
        "web%",
        "web/x",
        "web#x",
        "web?x",
        "web:80:80",
        "web ",
        "[::1",
      ]
    ) {
      expect([text, isAuthority(text)]).toEqual([text, false]);
    }
  });
});

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
