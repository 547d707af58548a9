/** RFC 9112 §6–7: where a body ends, and what no body may be. */
import { describe, expect, test } from "bun:test";
import { BodyReader } from "../../../../src/proxy/http1/body_reader.ts";
import {
  CHUNK_LINE_BYTES_MAX,
  TRAILER_BYTES_MAX,
  TRAILER_FIELDS_MAX,
} from "../../../../src/proxy/http1/limits.ts";
import { latin1 } from "../fake_wire.ts";

interface Outcome {
  readonly body: string;
  /** `null` when the body ended without trailers, undefined when it did not end. */
  readonly trailers?: string[] | null;
  /** Bytes behind the body; null: malformed. */
  readonly rest: string | null;
}

/** Reads the pieces one after the other, each from a byte on that must not matter. */
function read(start: (reader: BodyReader) => void, ...pieces: string[]): Outcome {
  let body = "";
  let trailers: string[] | null | undefined;
  let ends = 0;
  const reader = new BodyReader({
    onBody: (chunk) => {
      if (ends > 0) throw new Error("Body after its end");
      if (chunk.length === 0) throw new Error("An empty piece");
      body += Buffer.from(chunk).toString("latin1");
    },
    onBodyEnd: (found) => {
      ends++;
      trailers = found;
    },
  });
  start(reader);
  let rest = "";
  for (const [i, piece] of pieces.entries()) {
    if (piece === "") continue;
    const skip = i % 3;
    const position = reader.read(latin1("!".repeat(skip) + piece), skip);
    if (position < 0) return { body, rest: null, ...(ends > 0 ? { trailers } : {}) } as Outcome;
    rest += piece.slice(position - skip);
    if (!reader.done && rest !== "") throw new Error("It stopped before its end");
  }
  if (ends > 1) throw new Error("Two ends");
  if (reader.done !== ends > 0) throw new Error("It says that it is done and is not");
  return (ends > 0 ? { body, trailers, rest } : { body, rest }) as Outcome;
}

const chunked = (reader: BodyReader) => reader.startChunked();
const length = (bytes: number) => (reader: BodyReader) => reader.startLength(bytes);
const MALFORMED = { rest: null };

describe("BodyReader by length", () => {
  test("BodyReader gives so many bytes and leaves the rest, however they are split", () => {
    const expected = { body: "hello", trailers: null, rest: "GET" };
    for (let i = 0; i <= 8; i++) {
      expect(read(length(5), "helloGET".slice(0, i), "helloGET".slice(i))).toEqual(expected);
    }
    expect(read(length(5), ..."helloGET")).toEqual(expected);
  });

  test("BodyReader.finish() says that a body was cut off", () => {
    const reader = new BodyReader({ onBody() {}, onBodyEnd() {} });
    reader.startLength(5);
    reader.read(latin1("hell"), 0);
    expect(reader.finish()).toBe(false);
    reader.read(latin1("o"), 0);
    expect(reader.finish()).toBe(true);
  });
});

describe("BodyReader until the connection closes", () => {
  test("BodyReader takes everything, and only finish() ends it", () => {
    const seen: string[] = [];
    const reader = new BodyReader({
      onBody: (chunk) => seen.push(Buffer.from(chunk).toString()),
      onBodyEnd: () => seen.push("end"),
    });
    reader.startUntilClose();
    expect(reader.read(latin1("xxhello"), 2)).toBe(7);
    expect(reader.read(latin1("\r\n\r\n"), 0)).toBe(4);
    expect(reader.done).toBe(false);
    expect(reader.finish()).toBe(true);
    expect(seen).toEqual(["hello", "\r\n\r\n", "end"]);
  });
});

describe("BodyReader in chunks", () => {
  test("BodyReader joins chunks and leaves the rest, however they are split", () => {
    const text = "5\r\nhello\r\n006;a=b\r\n world\r\n0\r\nX-Sum: 1 \r\ny:\r\n\r\nGET";
    const expected = { body: "hello world", trailers: ["x-sum", "1", "y", ""], rest: "GET" };
    for (let i = 0; i <= text.length; i++) {
      expect(read(chunked, text.slice(0, i), text.slice(i))).toEqual(expected);
      for (const j of [i + 1, i + 2, i + 5]) {
        expect(read(chunked, text.slice(0, i), text.slice(i, j), text.slice(j))).toEqual(expected);
      }
    }
    expect(read(chunked, ...text)).toEqual(expected);
  });

  test("BodyReader ends at the empty line where there are no trailers, however they are split", () => {
    const text = "1\r\nx\r\n0\r\n\r\nGET";
    const expected = { body: "x", trailers: null, rest: "GET" };
    for (let i = 0; i <= text.length; i++) {
      expect(read(chunked, text.slice(0, i), text.slice(i))).toEqual(expected);
    }
    expect(read(chunked, ...text)).toEqual(expected);
  });

  test.each([
    ["upper and lower case", "aA\r\n", 0xaa],
    ["leading zeros", "0000000000001\r\n", 1],
    ["an extension", "1;a\r\n", 1],
    ["several extensions", "1;a;b=c; d\r\n", 1],
    ["an extension with a value", '1;a="b c"\r\n', 1],
    ["an extension with quotes within a value", '1;a="\\"b;\xe9"\r\n', 1],
    ["a tab in an extension", "1;a\t=b\r\n", 1],
    // RFC 9112 §7.1.1 and RFC 9110 §5.6.3: bad whitespace before an extension MUST be read and dropped.
    ["whitespace before an extension", "1 \t;a\r\n", 1],
  ])("BodyReader reads a chunk size with %s", (_what, line, bytes) => {
    const data = "x".repeat(bytes);
    expect(read(chunked, `${line}${data}\r\n0\r\n\r\n`)).toEqual({ body: data, trailers: null, rest: "" });
  });

  test.each([
    ["no digits", "\r\n"],
    ["an extension alone", ";a\r\n"],
    ["a plus", "+1\r\n"],
    ["a minus", "-1\r\n"],
    ["0x", "0x1\r\n"],
    ["an underscore", "1_0\r\n"],
    ["a space before it", " 1\r\n"],
    ["a space after it", "1 \r\n"],
    ["whitespace within", "1 1\r\n"],
    ["a letter", "1g\r\n"],
    ["a point", "1.0\r\n"],
    ["a NUL", "1\0\r\n"],
    ["a superscript digit", "\xb9\r\n"],
    ["a bare LF", "1\n"],
    ["a bare CR", "1\rx"],
    ["two CRs", "1\r\r\n"],
    ["an overflow of 64 bits", "10000000000000001\r\n"],
    ["more digits than are exact", "00000000000001\r\n"],
    ["a bare LF in an extension", "1;a\nb\r\n"],
    ["a bare CR in an extension", "1;a\rb\r\n"],
    ["an extension without a name", "1;\r\n"],
    ["an extension without a name, and a value", "1;=a\r\n"],
    ["an extension without a name before another", "1;;a\r\n"],
    ["an extension of two words", "1;a b\r\n"],
    ["an extension that is no token", "1;a(b\r\n"],
    ["an extension without its value", "1;a=\r\n"],
    ["an extension with a space behind it", "1;a \r\n"],
    ["an open quote in an extension", '1;a="b\r\n'],
    ["an open quote behind an escaped one", '1;a="b\\"\r\n'],
    ["something behind a quote", '1;a="b"c\r\n'],
    ["a bare LF in a quote", '1;a="\n"\r\n'],
    ["the end of the line in a quote", '1;a="\r\n"\r\n'],
    ["a NUL in an extension", "1;\0\r\n"],
    ["a DEL in an extension", "1;\x7f\r\n"],
  ])("BodyReader refuses a chunk size with %s", (_what, line) => {
    expect(read(chunked, `${line}x\r\n0\r\n\r\n`)).toEqual({ body: "", ...MALFORMED });
    expect(read(chunked, ...line)).toMatchObject(MALFORMED);
  });

  test("BodyReader reads the largest size and no larger one", () => {
    expect(read(chunked, "fffffffffffff\r\nx")).toEqual({ body: "x", rest: "" });
    expect(read(chunked, "1fffffffffffff\r\nx")).toEqual({ body: "", ...MALFORMED });
  });

  test.each(["x\n0", "xx\r\n", "x\r0", "x0\r\n", "x \r\n", "x\rx"])(
    "BodyReader refuses %p where a chunk of one byte ends",
    (text) => {
      expect(read(chunked, `1\r\n${text}\r\n\r\n`)).toEqual({ body: "x", ...MALFORMED });
    },
  );

  test("BodyReader takes the longest line of a size and refuses one byte more", () => {
    const line = (bytes: number) => "1;".padEnd(bytes, "e");
    const rest = "\r\nx\r\n0\r\n\r\n";
    expect(read(chunked, line(CHUNK_LINE_BYTES_MAX) + rest)).toMatchObject({ body: "x" });
    expect(read(chunked, line(CHUNK_LINE_BYTES_MAX + 1) + rest)).toEqual({ body: "", ...MALFORMED });
    expect(read(chunked, ..."1".padEnd(CHUNK_LINE_BYTES_MAX + 1, " "))).toMatchObject(MALFORMED);
  });
});

describe("trailers", () => {
  const trailers = (text: string) => `0\r\n${text}\r\n`;

  test.each([
    ["a length", "Content-Length: 5\r\n"],
    ["a transfer coding", "Transfer-Encoding: chunked\r\n"],
    ["a host", "Host: a\r\n"],
    ["obs-fold", "a: b\r\n c\r\n"],
    ["a space before the colon", "a : b\r\n"],
    ["a bare LF", "a: b\n"],
    ["a bare CR", "a: b\rc: d\r\n"],
    ["a NUL", "a: \0\r\n"],
    ["no colon", "a\r\n"],
    ["a CR first", "\rx\r\n"],
    ["an LF first", "\n"],
  ])("BodyReader refuses trailers with %s, however they are split", (_what, text) => {
    expect(read(chunked, trailers(text))).toEqual({ body: "", ...MALFORMED });
    expect(read(chunked, ...trailers(text))).toEqual({ body: "", ...MALFORMED });
  });

  test("BodyReader takes hop-by-hop fields out of trailers, and what they name", () => {
    expect(read(chunked, trailers("Connection: close, x\r\nX: 1\r\nY: 2\r\nTE: a\r\n"))).toMatchObject({
      trailers: ["y", "2"],
    });
  });

  test("BodyReader takes the largest trailer section and refuses one byte more, whole or in pieces", () => {
    const section = (bytes: number) => `${"a: ".padEnd(bytes - 2, "x")}\r\n`;
    for (const cut of [0, 1, 5, 4_000, TRAILER_BYTES_MAX, TRAILER_BYTES_MAX + 2, TRAILER_BYTES_MAX + 4]) {
      const split = (text: string) => read(chunked, text.slice(0, cut), text.slice(cut));
      const good = split(`${trailers(section(TRAILER_BYTES_MAX))}GET`);
      expect(good.trailers?.[1]).toHaveLength(TRAILER_BYTES_MAX - "a: \r\n".length);
      expect(good.rest).toBe("GET");
      expect(split(`${trailers(section(TRAILER_BYTES_MAX + 1))}GET`)).toEqual({ body: "", ...MALFORMED });
    }
  });

  test("BodyReader takes the largest number of trailers and refuses one more", () => {
    const fields = (count: number) => "a: b\r\n".repeat(count);
    expect(read(chunked, trailers(fields(TRAILER_FIELDS_MAX))).trailers).toHaveLength(
      2 * TRAILER_FIELDS_MAX,
    );
    expect(read(chunked, trailers(fields(TRAILER_FIELDS_MAX + 1)))).toEqual({
      body: "",
      ...MALFORMED,
    });
  });

  test("BodyReader.remaining tells what is still to come", () => {
    const reader = new BodyReader({ onBody() {}, onBodyEnd() {} });
    expect(reader.remaining).toBe(0);
    reader.startLength(5);
    reader.read(latin1("he"), 0);
    expect(reader.remaining).toBe(3);
    reader.read(latin1("llo"), 0);
    expect(reader.remaining).toBe(0);
    reader.startChunked();
    reader.read(latin1("5\r\nhe"), 0);
    expect(reader.remaining).toBe(Number.POSITIVE_INFINITY);
  });

  test("BodyReader starts anew for each message", () => {
    const ends: unknown[] = [];
    const reader = new BodyReader({ onBody() {}, onBodyEnd: (found) => ends.push(found) });
    for (let i = 0; i < 2; i++) {
      reader.startChunked();
      reader.read(latin1(`a;e\r\n0123456789\r\n0\r\nx: ${i}\r\n\r\n`), 0);
    }
    expect(ends).toEqual([["x", "0"], ["x", "1"]]);
  });
});
