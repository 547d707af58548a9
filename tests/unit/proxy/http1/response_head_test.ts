/** Response heads: RFC 9112 §4 and the length rules of §6.3. */
import { describe, expect, test } from "bun:test";
import { type ParsedResponse, parseResponseHead } from "../../../../src/proxy/http1/head.ts";
import { Malformed } from "../../../../src/proxy/http1/malformed.ts";

function parse(toHead: boolean, ...lines: string[]): ParsedResponse | string {
  const parsed = parseResponseHead(lines.map((line) => `${line}\r\n`).join(""), toHead);
  return parsed instanceof Malformed ? parsed.details : parsed;
}

const LINE = "http1.invalid_status_line";
const LENGTHS = "http1.content_length_with_transfer_encoding";

describe("parseResponseHead()", () => {
  test("parseResponseHead() reads status, fields and length", () => {
    expect(parse(false, "HTTP/1.1 200 OK", "Content-Length: 5", "Server: x")).toEqual({
      head: { status: 200, headers: ["server", "x"], bodyLength: 5 },
      keepAlive: true,
      chunked: false,
      upgrade: null,
    });
  });

  test.each(["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 200 Sch\xf6n \t!", "HTTP/1.0 200 OK"])(
    "parseResponseHead() takes the status line %p",
    (line) => expect(parse(false, line, "Content-Length: 0")).toMatchObject({ head: { status: 200 } }),
  );

  test.each([
    "HTTP/1.1 099 No",
    "HTTP/1.1 600 No",
    "HTTP/1.1 20 No",
    "HTTP/1.1 2000 No",
    "HTTP/1.1 2x0 No",
    "HTTP/1.1 1e2 No",
    "HTTP/1.1 5e2 No",
    "HTTP/1.1 +20 No",
    "HTTP/1.1 2 0 No",
    "HTTP/1.1 0x9 No",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200 OK",
    "HTTP/1.1 200\tOK",
    "HTTP/1.2 200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/1.1200 OK",
    "ICY 200 OK",
    "",
    "HTTP/1.1 200 O\0K",
    "HTTP/1.1 200 OK\rX: y",
    "HTTP/1.1 200 OK\nContent-Length: 5",
    "HTTP/1.1 200 \x7f",
  ])("parseResponseHead() refuses the status line %p", (line) => {
    expect(parse(false, line, "Content-Length: 0")).toBe(LINE);
  });

  test("parseResponseHead() refuses what fields must not be", () => {
    expect(parse(false, "HTTP/1.1 200 OK", "a : b")).toBe("http1.invalid_field_name");
    expect(parse(false, "HTTP/1.1 200 OK", "a: b", " folded")).toBe("http1.invalid_field_name");
    expect(parse(false, "HTTP/1.1 200 OK", "a: b\rSet-Cookie: c")).toBe("http1.invalid_field_value");
    expect(parse(false, "HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6")).toBe(
      "http1.invalid_content_length",
    );
    expect(parse(false, "HTTP/1.1 200 OK", "Transfer-Encoding: gzip")).toBe(
      "http1.invalid_transfer_encoding",
    );
  });

  test("parseResponseHead() refuses Content-Length with Transfer-Encoding", () => {
    expect(parse(false, "HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked")).toBe(LENGTHS);
    expect(parse(true, "HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked")).toBe(LENGTHS);
    expect(parse(false, "HTTP/1.1 200 OK", "Content-Length: 0", "Transfer-Encoding: chunked")).toBe(LENGTHS);
  });

  test("parseResponseHead() refuses chunks from HTTP/1.0", () => {
    expect(parse(false, "HTTP/1.0 200 OK", "Transfer-Encoding: chunked")).toBe(LENGTHS);
  });

  test("parseResponseHead() refuses a body of 1xx and 204 (RFC 9112 §6.3), and takes a length of 0", () => {
    for (const status of [100, 103, 204]) {
      expect(parse(false, `HTTP/1.1 ${status} X`, "Content-Length: 5")).toBe(LENGTHS);
      expect(parse(false, `HTTP/1.1 ${status} X`, "Transfer-Encoding: chunked")).toBe(LENGTHS);
      expect(parse(false, `HTTP/1.1 ${status} X`, "Content-Length: 0")).toMatchObject({ head: { status } });
    }
  });

  test("parseResponseHead() keeps the length that a HEAD or 304 only tells about", () => {
    expect(parse(true, "HTTP/1.1 200 OK", "Content-Length: 5")).toMatchObject({
      head: { bodyLength: 5 },
      keepAlive: true,
    });
    expect(parse(true, "HTTP/1.1 200 OK", "Transfer-Encoding: chunked")).toMatchObject({
      head: { bodyLength: -1 },
      chunked: false,
      upgrade: null,
      keepAlive: true,
    });
    expect(parse(false, "HTTP/1.1 304 X", "Content-Length: 5")).toMatchObject({
      head: { bodyLength: 5 },
      keepAlive: true,
    });
  });

  test("parseResponseHead() keeps the connection only when the body has an end of its own", () => {
    expect(parse(false, "HTTP/1.1 200 OK")).toMatchObject({ keepAlive: false, head: { bodyLength: -1 } });
    expect(parse(false, "HTTP/1.1 200 OK", "Transfer-Encoding: chunked")).toMatchObject({
      keepAlive: true,
      chunked: true,
    });
    expect(parse(false, "HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close")).toMatchObject({
      keepAlive: false,
    });
    expect(parse(false, "HTTP/1.0 200 OK", "Content-Length: 0")).toMatchObject({ keepAlive: false });
    expect(parse(false, "HTTP/1.0 200 OK", "Content-Length: 0", "Connection: keep-alive")).toMatchObject({
      keepAlive: true,
    });
  });

  test("parseResponseHead() takes an odd Host on a response for a field like any other", () => {
    expect(parse(false, "HTTP/1.1 200 OK", "Host: a b", "Content-Length: 0")).toMatchObject({
      head: { headers: ["host", "a b"] },
    });
  });
});
