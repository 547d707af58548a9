import { describe, expect, test } from "bun:test";
import { isAuthority, isLowerToken, isToken, readContentLength } from "../../../src/proxy/message_syntax.ts";

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
        ":80",
        ":",
      ]
    ) {
      expect([text, isAuthority(text)]).toEqual([text, false]);
    }
  });
});

describe("isToken() and isLowerToken()", () => {
  test("take names of fields, of which HTTP/2 has none with a capital", () => {
    for (const name of ["a", "x-b3-traceid", "!#$%&'*+-.^_`|~09"]) {
      expect([isToken(name), isLowerToken(name)]).toEqual([true, true]);
    }
    for (const name of ["A", "x-A", "aB"]) expect([isToken(name), isLowerToken(name)]).toEqual([true, false]);
  });

  test("refuse what is no name: nothing, and whatever would end one", () => {
    for (const name of ["", " ", "a ", " a", "a:", ":a", "a\0", "a\r", "a\n", 'a"', "a(", "\xe9", "\u0161"]) {
      expect([isToken(name), isLowerToken(name)]).toEqual([false, false]);
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
