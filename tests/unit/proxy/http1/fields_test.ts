/** RFC 9112 §5 and RFC 9110 §5–7, rule by rule. */
import { DEFAULT_LIMITS } from "../../../../src/model/limits.ts";
import { describe, expect, test } from "bun:test";
import { Fields, parseFields } from "../../../../src/proxy/http1/fields.ts";
import { isToken } from "../../../../src/proxy/message_syntax.ts";

/** The fields of some lines, or the details of what is wrong with them. */
function parse(...lines: string[]): Fields | string {
  const fields = new Fields();
  const malformed = parseFields(
    lines.map((line) => `${line}\r\n`).join(""),
    0,
    fields,
    DEFAULT_LIMITS.requestHeaderCount,
  );
  return malformed === null ? fields : `${malformed.status} ${malformed.details}`;
}

function headers(...lines: string[]): string[] {
  const fields = parse(...lines);
  if (typeof fields === "string") throw new Error(fields);
  return fields.headers;
}

const NAME = "400 http1.invalid_field_name";
const VALUE = "400 http1.invalid_field_value";
const LENGTH = "400 http1.invalid_content_length";
const CODING = "400 http1.invalid_transfer_encoding";
const UNKNOWN_CODING = "501 http1.unknown_transfer_coding";

describe("parseFields()", () => {
  test("parseFields() lists fields in order, names in lower case, values without the whitespace around them", () => {
    expect(headers("X-One: a", "x-two:b", "X-ONE:\t c d \t", "Accept: */*", "EMPTY:", "blank:   ")).toEqual(
      ["x-one", "a", "x-two", "b", "x-one", "c d", "accept", "*/*", "empty", "", "blank", ""],
    );
  });

  test("parseFields() reads a value that comes again as it reads any other", () => {
    for (const value of ["a/b", "a/b", "a", "a/bc", "a/b", "", "a/b"]) {
      expect(headers(`Accept: ${value}`)).toEqual(["accept", value]);
      expect(headers(`accept:\t${value} \t`)).toEqual(["accept", value]);
    }
    expect(parse("Accept: a/b\r")).toBe(VALUE);
    expect(parse("Accept: a/b\0")).toBe(VALUE);
    expect(headers("Accept: a/b", "Accept-: a/b", "Acceptx: a/b")).toEqual(
      ["accept", "a/b", "accept-", "a/b", "acceptx", "a/b"],
    );
  });

  test("parseFields() keeps obs-text as Latin-1", () => {
    expect(headers("x: caf\xe9 \x80\xff")).toEqual(["x", "caf\xe9 \x80\xff"]);
  });

  test("parseFields() lists names that objects have by birth, like any other", () => {
    expect(headers("constructor: a", "__proto__: b", "valueof: c", "toString: d")).toEqual(
      ["constructor", "a", "__proto__", "b", "valueof", "c", "tostring", "d"],
    );
  });

  test.each([
    ["obs-fold", ["a: b", " c: d"], NAME],
    ["obs-fold with a tab", ["a: b", "\tc"], NAME],
    ["a space before the colon", ["host : a"], NAME],
    ["a tab before the colon", ["host\t: a"], NAME],
    ["a line without a colon", ["host"], NAME],
    ["an empty name", [": a"], NAME],
    ["a bare CR in a value", ["a: b\rc"], VALUE],
    ["a bare CR before a second field", ["a: b\rx: y"], VALUE],
    ["a bare LF in a value", ["a: b\nx: y"], VALUE],
    ["a NUL in a value", ["a: b\0"], VALUE],
    ["a DEL in a value", ["a: \x7f"], VALUE],
    ["a non-ASCII name", ["\xe9: a"], NAME],
  ])("parseFields() refuses %s", (_what, lines, expected) => {
    expect(parse(...lines)).toBe(expected);
  });

  test("parseFields() refuses every control byte in names and values but HTAB within a value", () => {
    for (let code = 0; code < 256; code++) {
      const byte = String.fromCharCode(code);
      const inValue = parse(`a: b${byte}c`);
      const allowed = code === 0x09 || (code >= 0x20 && code !== 0x7f);
      if (allowed) expect(inValue).toMatchObject({ headers: ["a", `b${byte}c`] });
      else expect(inValue).toBe(VALUE);
      if (byte === ":") continue;
      const inName = parse(`a${byte}b: c`);
      if (isToken(byte)) expect(inName).toMatchObject({ headers: [`a${byte}b`.toLowerCase(), "c"] });
      else expect(inName).toBe(NAME);
    }
  });

  test("parseFields() refuses text that ends within a line", () => {
    for (const text of ["a", "a:", "a: b", "a: b\r", "a: b\n", "a: b\r\nc"]) {
      expect(parseFields(text, 0, new Fields(), 1)).not.toBeNull();
    }
  });

  test("parseFields() takes the largest number of fields and refuses one more", () => {
    const lines = Array.from({ length: DEFAULT_LIMITS.requestHeaderCount }, (_, i) => `x-${i}: ${i}`);
    expect(headers(...lines)).toHaveLength(2 * DEFAULT_LIMITS.requestHeaderCount);
    expect(parse(...lines, "host: a")).toBe("431 http1.too_many_fields");
    expect(parse(...lines.slice(1), "te: a", "te: b")).toBe("431 http1.too_many_fields");
  });
});

describe("framing fields", () => {
  test.each([
    ["Content-Length: 5", 5],
    ["content-length:\t0 ", 0],
    ["CONTENT-LENGTH: 0005", 5],
    ["Content-Length: 999999999999999", 999_999_999_999_999],
  ])("parseFields() reads %p and does not list it", (line, bytes) => {
    expect(parse(line)).toMatchObject({ contentLength: bytes, headers: [] });
  });

  test.each([
    "+5",
    "-5",
    "-0",
    "5,5",
    "5, 5",
    "5 5",
    "0x5",
    "5.0",
    "5e1",
    "",
    "five",
    "\xb2",
    "1000000000000000",
    "18446744073709551621",
    "5;",
    '"5"',
  ])("parseFields() refuses Content-Length %p", (value) => {
    expect(parse(`Content-Length: ${value}`)).toBe(LENGTH);
  });

  test("parseFields() refuses a second Content-Length, equal or not", () => {
    expect(parse("Content-Length: 5", "Content-Length: 5")).toBe(LENGTH);
    expect(parse("Content-Length: 5", "content-length: 6")).toBe(LENGTH);
  });

  test.each(["chunked", "Chunked", "CHUNKED", "\tchunked", "chunked \t"])(
    "parseFields() takes Transfer-Encoding %p for chunked",
    (value) => expect(parse(`Transfer-Encoding:${value}`)).toMatchObject({ chunked: true, headers: [] }),
  );

  test.each([
    // RFC 9112 §6.3: when chunked is not the last coding of a request, the answer MUST be 400.
    ["xchunked", CODING],
    ["chunkedx", CODING],
    ["gzip", CODING],
    ["identity", CODING],
    ["chunked, identity", CODING],
    ["chunked, gzip", CODING],
    ["chunked,", CODING],
    [", chunked", CODING],
    ["", CODING],
    ['"chunked"', CODING],
    ["chunked;a=b", CODING],
    ["chun ked", CODING],
    ["\x0bchunked", VALUE],
    ["\xa0chunked", CODING],
    // RFC 9112 §6.1: chunked MUST NOT be applied twice.
    ["chunked, chunked", CODING],
    ["chunked, gzip, chunked", CODING],
    // RFC 9112 §6.1: a coding that is not understood.
    ["gzip, chunked", UNKNOWN_CODING],
    ["identity,chunked", UNKNOWN_CODING],
  ])("parseFields() refuses Transfer-Encoding %p", (value, expected) => {
    expect(parse(`Transfer-Encoding: ${value}`)).toBe(expected);
  });

  test("parseFields() refuses a second Transfer-Encoding", () => {
    expect(parse("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")).toBe(CODING);
    expect(parse("Transfer-Encoding: chunked", "Transfer-Encoding: identity")).toBe(CODING);
  });

  test("parseFields() reads Host however it is written, and refuses a second one", () => {
    for (const name of ["host", "Host", "HOST", "hOsT"]) {
      expect(parse(`${name}: a`)).toMatchObject({ host: "a" });
    }
    expect(parse("Host: a", "HOST: a")).toBe("400 http1.invalid_host");
  });
});

describe("Connection", () => {
  test("parseFields() reads close and keep-alive, in any list and case, and lists neither", () => {
    expect(parse("Connection: close")).toMatchObject({ close: true, keepAlive: false, headers: [] });
    expect(parse("Connection: Keep-Alive")).toMatchObject({ close: false, keepAlive: true });
    expect(parse("Connection: a , CLOSE,,\tb")).toMatchObject({ close: true });
    expect(parse("Connection: keep-alive", "Connection: close")).toMatchObject({
      close: true,
      keepAlive: true,
    });
    expect(parse("Connection: closed, not-close, \xa0close")).toMatchObject({ close: false });
  });

  test("parseFields() takes out the fields that Connection names, before it and after it", () => {
    expect(headers("X-A: 1", "Connection: x-a, X-B", "x-b: 2", "x-c: 3", "X-a: 4")).toEqual(["x-c", "3"]);
  });

  test("parseFields() keeps the framing and the Host that Connection names", () => {
    const fields = parse("Connection: host, content-length, x-request-id", "Host: a", "Content-Length: 5");
    expect(fields).toMatchObject({ host: "a", contentLength: 5 });
    expect(parse("Transfer-Encoding: chunked", "Connection: transfer-encoding")).toMatchObject({
      chunked: true,
    });
  });

  test("parseFields() takes out hop-by-hop fields that nobody named", () => {
    const lines = [
      "Keep-Alive: 5",
      "Proxy-Connection: x",
      "TE: trailers",
      "Upgrade: h2c",
      "HTTP2-Settings: AAA",
    ];
    expect(headers(...lines, "x: y")).toEqual(["x", "y"]);
  });
});
