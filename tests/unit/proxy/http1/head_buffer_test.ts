import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { HeadBuffer } from "../../../../src/proxy/http1/head_buffer.ts";
import { REQUEST_LINE_BYTES_MAX } from "../../../../src/proxy/http1/limits.ts";
import { Malformed } from "../../../../src/proxy/http1/malformed.ts";
import { latin1 } from "../fake_wire.ts";

/** What came of the pieces: a head and the bytes behind it, `"more"`, or the details of a refusal. */
function take(...pieces: string[]): { head: string; rest: string } | string {
  const buffer = new HeadBuffer(DEFAULT_LIMITS.requestHeaderBytes);
  for (const [i, piece] of pieces.entries()) {
    const taken = buffer.take(latin1(piece), 0);
    if (taken instanceof Malformed) return taken.details;
    if (taken === null) continue;
    const rest = (buffer.rest as Buffer).toString("latin1", buffer.restFrom);
    return { head: taken, rest: [rest, ...pieces.slice(i + 1)].join("") };
  }
  return buffer.isEmpty ? "nothing" : "more";
}

const HEAD = "GET / HTTP/1.1\r\nHost: a\r\n";

/** A head of exactly so many bytes, without its empty line. */
function headOf(bytes: number): string {
  const start = `${HEAD}x: `;
  return `${start.padEnd(bytes - 2, "y")}\r\n`;
}

describe("HeadBuffer", () => {
  test("HeadBuffer.take() keeps the beginning of a head, and not all that was received with it", () => {
    const buffer = new HeadBuffer(DEFAULT_LIMITS.requestHeaderBytes);
    const received = latin1(`${"b".repeat(64 * 1024)}GET /`);
    expect(buffer.take(received, 64 * 1024)).toBeNull();
    // A view of it would change as well.
    received.fill("x");
    expect(buffer.take(latin1(" HTTP/1.1\r\nHost: a\r\n\r\n"), 0)).toBe(HEAD);
  });

  test("HeadBuffer.take() gives the head without its empty line, and where the rest begins", () => {
    expect(take(`${HEAD}\r\nbody`)).toEqual({ head: HEAD, rest: "body" });
  });

  test("HeadBuffer.take() gives the same however the bytes are split", () => {
    const bytes = `\r\n${HEAD}\r\nbody`;
    for (let i = 0; i <= bytes.length; i++) {
      for (const j of [i, i + 1, i + 2, bytes.length]) {
        expect(take(bytes.slice(0, i), bytes.slice(i, j), bytes.slice(j))).toEqual({
          head: HEAD,
          rest: "body",
        });
      }
    }
    expect(take(...bytes)).toEqual({ head: HEAD, rest: "body" });
  });

  test("HeadBuffer.take() begins where it is told", () => {
    const buffer = new HeadBuffer(DEFAULT_LIMITS.requestHeaderBytes);
    expect(buffer.take(latin1(`xyz${HEAD}\r\n`), 3)).toBe(HEAD);
    buffer.clear();
    expect(buffer.isEmpty).toBe(true);
    expect(buffer.take(latin1("xyzGET / HT"), 3)).toBeNull();
    expect(buffer.take(latin1(`..TP/1.1\r\nHost: a\r\n\r\n!`), 2)).toBe(HEAD);
  });

  test("HeadBuffer.take() passes over empty lines, and holds nothing of them", () => {
    expect(take("\r\n", "\r\n\r\n", "\r\n")).toBe("nothing");
    expect(take("\r\n\r\n", `\r\n${HEAD}\r\n`)).toEqual({ head: HEAD, rest: "" });
  });

  test("HeadBuffer.take() refuses a bare line feed as soon as it comes", () => {
    const bare = "http1.bare_line_feed";
    for (const text of ["GET / HTTP/1.1\n", "\n", "GET / HTTP/1.1\r\nHost: a\n", "\r\n\n", "\r\nGET /\nx"]) {
      expect(take(text)).toBe(bare);
      expect(take(...text)).toBe(bare);
    }
    expect(take("GET / HTTP/1.1\r", "\nHost: a\r", "\n")).toBe("more");
    // What ends the message before is no part of this one.
    expect(new HeadBuffer(DEFAULT_LIMITS.requestHeaderBytes).take(latin1("body\r\nGET"), 5)).toBeInstanceOf(
      Malformed,
    );
  });

  test("HeadBuffer.take() takes the largest head and refuses one byte more, whole or in pieces", () => {
    const largest = headOf(DEFAULT_LIMITS.requestHeaderBytes);
    const above = headOf(DEFAULT_LIMITS.requestHeaderBytes + 1);
    for (
      const cut of [
        0,
        20_000,
        DEFAULT_LIMITS.requestHeaderBytes - 2,
        DEFAULT_LIMITS.requestHeaderBytes,
        DEFAULT_LIMITS.requestHeaderBytes + 1,
      ]
    ) {
      const split = (text: string) => take(text.slice(0, cut), text.slice(cut));
      expect(split(`${largest}\r\n`)).toEqual({ head: largest, rest: "" });
      expect(split(`${above}\r\n`)).toBe("http1.head_too_large");
    }
    expect(take(above)).toBe("more");
    expect(take(`${above}yy`)).toBe("http1.head_too_large");
  });

  test("HeadBuffer.take() calls a request line without end too long, not the head too large", () => {
    // RFC 9112 §3: a target longer than any that is parsed MUST be answered 414.
    expect(take("GET /".padEnd(DEFAULT_LIMITS.requestHeaderBytes + 10, "x"))).toBe(
      "http1.request_line_too_long",
    );
    expect(take("GET /".padEnd(REQUEST_LINE_BYTES_MAX, "x"), "x".repeat(DEFAULT_LIMITS.requestHeaderBytes)))
      .toBe(
        "http1.request_line_too_long",
      );
    expect(take(`${HEAD}x: `.padEnd(DEFAULT_LIMITS.requestHeaderBytes + 10, "x"))).toBe(
      "http1.head_too_large",
    );
  });

  test("HeadBuffer.take() calls what has not even a method no request", () => {
    for (const bytes of [DEFAULT_LIMITS.requestHeaderBytes + 10, 200_000]) {
      expect(take("x".repeat(bytes))).toBe("http1.invalid_request_line");
      expect(take(`${"x".repeat(REQUEST_LINE_BYTES_MAX)} / HTTP/1.1\r\na: `.padEnd(bytes, "y")))
        .toBe("http1.invalid_request_line");
    }
  });

  test("HeadBuffer.clear() forgets all", () => {
    const buffer = new HeadBuffer(DEFAULT_LIMITS.requestHeaderBytes);
    buffer.take(latin1("GET"), 0);
    buffer.clear();
    expect(buffer.isEmpty).toBe(true);
    expect(buffer.take(latin1(`${HEAD}\r\n`), 0)).toBe(HEAD);
    expect(buffer.rest).not.toBeNull();
    buffer.clear();
    expect(buffer.rest).toBeNull();
  });
});
