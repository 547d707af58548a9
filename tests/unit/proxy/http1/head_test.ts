/** Request heads: RFC 9112 §2–3, by the letter. */
import { describe, expect, test } from "bun:test";
import { type ParsedRequest, parseRequestHead } from "../../../../src/proxy/http1/head.ts";
import { REQUEST_LINE_BYTES_MAX } from "../../../../src/proxy/http1/limits.ts";
import { Malformed } from "../../../../src/proxy/http1/malformed.ts";

/** The head of some lines, or status and details of the refusal. */
function parse(...lines: string[]): ParsedRequest | string {
  const parsed = parseRequestHead(lines.map((line) => `${line}\r\n`).join(""), "http");
  return parsed instanceof Malformed ? `${parsed.status} ${parsed.details}` : parsed;
}

/** The head of a request line with a good Host. */
function line(requestLine: string): ParsedRequest | string {
  return parse(requestLine, "Host: a");
}

const LINE = "400 http1.invalid_request_line";
const TARGET = "400 http1.invalid_url";
const HOST = "400 http1.invalid_host";
const VERSION = "505 http1.unsupported_version";

describe("parseRequestHead()", () => {
  test("parseRequestHead() reads an origin-form request", () => {
    expect(parse("GET /a/b?c=d HTTP/1.1", "Host: shop:8080", "Accept: */*")).toEqual({
      head: {
        method: "GET",
        scheme: "http",
        authority: "shop:8080",
        path: "/a/b?c=d",
        headers: ["accept", "*/*"],
        bodyLength: 0,
        tunnel: null,
      },
      keepAlive: true,
      http10: false,
    });
  });

  test("parseRequestHead() sees who asks for a tunnel: WebSocket's upgrade by GET, and CONNECT", () => {
    const tunnelOf = (line: string, ...fields: string[]) => {
      const parsed = parse(line, "Host: a", ...fields);
      return typeof parsed === "string" ? parsed : parsed.head.tunnel;
    };
    const upgrade = ["Connection: keep-alive, Upgrade", "Upgrade: WebSocket"];
    expect(tunnelOf("GET / HTTP/1.1", ...upgrade)).toBe("websocket");
    expect(tunnelOf("CONNECT a:1 HTTP/1.1")).toBe("connect");
    expect(tunnelOf("CONNECT a:1 HTTP/1.1", "Content-Length: 1")).toBe("400 http1.invalid_url");
    for (
      const [line, fields] of [
        ["POST / HTTP/1.1", upgrade],
        ["GET / HTTP/1.0", upgrade],
        ["GET / HTTP/1.1", ["Upgrade: websocket"]],
        ["GET / HTTP/1.1", ["Connection: upgrade", "Upgrade: h2c"]],
        ["GET / HTTP/1.1", ["Connection: upgrade", "Upgrade: websocket, h2c"]],
        ["GET / HTTP/1.1", [...upgrade, "Content-Length: 1"]],
      ] as const
    ) expect(tunnelOf(line, ...fields)).toBeNull();
  });

  test("parseRequestHead() reads the length of the body", () => {
    expect(parse("POST / HTTP/1.1", "Host: a", "Content-Length: 7")).toMatchObject({
      head: { bodyLength: 7 },
    });
    expect(parse("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")).toMatchObject({
      head: { bodyLength: -1 },
    });
  });

  test.each([
    ["HTTP/0.9", "GET /", LINE],
    ["no version", "GET / ", LINE],
    ["no target", "GET HTTP/1.1", LINE],
    ["no method", " / HTTP/1.1", LINE],
    ["an empty target", "GET  HTTP/1.1", TARGET],
    ["two spaces before the target", "GET  / HTTP/1.1", LINE],
    ["two spaces before the version", "GET /  HTTP/1.1", LINE],
    ["a tab for a space", "GET\t/ HTTP/1.1", LINE],
    ["a space at the end", "GET / HTTP/1.1 ", LINE],
    ["a space in the target", "GET /a b HTTP/1.1", LINE],
    ["a method that is no token", "G(T / HTTP/1.1", LINE],
    ["a method with a colon", "GET: / HTTP/1.1", LINE],
    ["a version in lower case", "GET / http/1.1", LINE],
    ["a version of more digits", "GET / HTTP/1.10", LINE],
    ["a version with a sign", "GET / HTTP/+1.1", LINE],
    ["another protocol", "GET / RTSP/1.0", LINE],
    ["the preface of HTTP/2", "PRI * HTTP/2.0", VERSION],
    ["HTTP/3.0", "GET / HTTP/3.0", VERSION],
    ["HTTP/1.2", "GET / HTTP/1.2", VERSION],
    ["HTTP/0.9 said aloud", "GET / HTTP/0.9", VERSION],
    ["a bare CR", "GET /\rX HTTP/1.1", TARGET],
    ["a bare LF and a smuggled field", "GET / HTTP/1.1\nX: y", LINE],
    ["a NUL in the target", "GET /\0 HTTP/1.1", TARGET],
    ["a fragment", "GET /admin#x HTTP/1.1", TARGET],
    ["obs-text in the target", "GET /caf\xe9 HTTP/1.1", TARGET],
  ])("parseRequestHead() refuses %s", (_what, requestLine, expected) => {
    expect(line(requestLine)).toBe(expected);
  });

  test("parseRequestHead() tells another protocol from a request that is malformed", () => {
    for (const text of ["INVALID CONNECTION PREFACE", "SET key value", "a b c"]) {
      expect(line(text)).toBe("400 http1.another_protocol");
    }
    for (
      const text of [
        ...["GET / x", "OPTIONS * x", "GET http://a x", "CONNECT a:1 x", "GET x HTTP", "GET x http/1.1"],
        ...["GET x HTTP/1.10", "a b c d", "a b ", "a  b", "hello", "hello there", "G(T a b"],
      ]
    ) expect([text, line(text)]).toEqual([text, LINE]);
  });

  test("parseRequestHead() refuses every control byte in method and target", () => {
    for (let code = 0; code <= 0x20; code++) {
      const byte = String.fromCharCode(code);
      expect(line(`GET /a${byte}b HTTP/1.1`)).toBeString();
      expect(line(`G${byte}T / HTTP/1.1`)).toBeString();
    }
    expect(line("GET /a\x7fb HTTP/1.1")).toBe(TARGET);
    expect(line("G\x7fT / HTTP/1.1")).toBe(LINE);
  });

  test("parseRequestHead() takes the longest request line and refuses one byte more with 414", () => {
    const path = "/".padEnd(REQUEST_LINE_BYTES_MAX - "GET  HTTP/1.1".length, "x");
    expect(line(`GET ${path} HTTP/1.1`)).toMatchObject({ head: { path } });
    expect(line(`GET ${path}x HTTP/1.1`)).toBe("414 http1.request_line_too_long");
    expect(line(`${"x".repeat(REQUEST_LINE_BYTES_MAX)} / HTTP/1.1`)).toBe(LINE);
  });
});

describe("the target", () => {
  test.each([
    ["GET http://shop/ HTTP/1.1", "http", "shop", "/"],
    ["GET http://shop HTTP/1.1", "http", "shop", "/"],
    ["GET HTTP://Shop:80/a?b HTTP/1.1", "http", "Shop:80", "/a?b"],
    ["GET http://shop?b=/c HTTP/1.1", "http", "shop", "/?b=/c"],
    ["GET https://shop/a//b HTTP/1.1", "https", "shop", "/a//b"],
    ["GET http://[::1]:80/ HTTP/1.1", "http", "[::1]:80", "/"],
    // RFC 9112 §3.2.4: the last proxy MUST send `*` for an absolute-form OPTIONS without path and query.
    ["OPTIONS http://shop:80 HTTP/1.1", "http", "shop:80", "*"],
    ["OPTIONS http://shop/ HTTP/1.1", "http", "shop", "/"],
    ["OPTIONS http://shop?q HTTP/1.1", "http", "shop", "/?q"],
    ["OPTIONS * HTTP/1.1", "http", "a", "*"],
    ["CONNECT shop:443 HTTP/1.1", "http", "shop:443", ""],
    ["CONNECT [::1]:443 HTTP/1.1", "http", "[::1]:443", ""],
  ])("parseRequestHead() reads %p", (requestLine, scheme, authority, path) => {
    expect(line(requestLine)).toMatchObject({ head: { scheme, authority, path } });
  });

  test.each([
    "GET * HTTP/1.1",
    "GET shop/ HTTP/1.1",
    "GET shop:80 HTTP/1.1",
    "GET ftp://shop/ HTTP/1.1",
    "GET http:/shop HTTP/1.1",
    "GET http:// HTTP/1.1",
    "GET http:///a HTTP/1.1",
    // RFC 9110 §4.2.1: an http URI with an empty host MUST be rejected.
    "GET http://:80/ HTTP/1.1",
    "GET http://user@shop/ HTTP/1.1",
    "GET http://user:secret@shop/ HTTP/1.1",
    "GET http://shop\\@other/ HTTP/1.1",
    "GET http://shop:port/ HTTP/1.1",
    "GET http://shop:1:2/ HTTP/1.1",
    "GET http://[::1/ HTTP/1.1",
    "GET javascript:alert(1) HTTP/1.1",
    "CONNECT shop HTTP/1.1",
    "CONNECT shop:443/ HTTP/1.1",
    "CONNECT / HTTP/1.1",
    "CONNECT /shop:443 HTTP/1.1",
    "CONNECT http://shop:443 HTTP/1.1",
    "CONNECT user@shop:443 HTTP/1.1",
    "CONNECT :443 HTTP/1.1",
    "CONNECT shop:123456 HTTP/1.1",
    "OPTIONS ** HTTP/1.1",
  ])("parseRequestHead() refuses %p", (requestLine) => {
    expect(line(requestLine)).toBe(TARGET);
  });

  test("parseRequestHead() lets the target's authority beat the Host (RFC 9112 §3.2.2)", () => {
    const parsed = parse("GET http://public/ HTTP/1.1", "Host: secret");
    expect(parsed).toMatchObject({ head: { authority: "public", headers: [] } });
    expect(parse("CONNECT public:1 HTTP/1.1", "Host: secret")).toMatchObject({
      head: { authority: "public:1" },
    });
  });
});

describe("Host", () => {
  test("parseRequestHead() demands one Host of HTTP/1.1, absolute-form or not", () => {
    expect(parse("GET / HTTP/1.1")).toBe(HOST);
    expect(parse("GET http://a/ HTTP/1.1")).toBe(HOST);
    expect(parse("GET / HTTP/1.1", "Host: a", "Host: a")).toBe(HOST);
    expect(parse("GET http://a/ HTTP/1.1", "Host: a", "Host: b")).toBe(HOST);
    expect(parse("GET / HTTP/1.0", "Host: a", "host: b")).toBe(HOST);
  });

  test.each(["a", "a.b", "a:80", "a:", "", "[::1]", "[::1]:80", "127.0.0.1", "a_b", "A.COM."])(
    "parseRequestHead() takes Host %p",
    (host) => expect(parse("GET / HTTP/1.1", `Host: ${host}`)).toMatchObject({ head: { authority: host } }),
  );

  test.each([
    "a b",
    "%41",
    "a/b",
    "a@b",
    "user@a",
    "http://a",
    "a:b",
    "a:80:80",
    "a:123456",
    "[::1",
    "::1",
    "a?b",
    "a#b",
    "a\\b",
    "a\tb",
    "caf\xe9",
    "a:-1",
    "<a>",
    'a"',
  ])("parseRequestHead() refuses Host %p", (host) => {
    expect(parse("GET / HTTP/1.1", `Host: ${host}`)).toBe(HOST);
    expect(parse("GET http://good/ HTTP/1.1", `Host: ${host}`)).toBe(HOST);
  });
});

describe("framing and version", () => {
  test("parseRequestHead() refuses Content-Length with Transfer-Encoding, in either order", () => {
    const both = "400 http1.content_length_with_transfer_encoding";
    expect(parse("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked")).toBe(both);
    expect(parse("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Content-Length: 0")).toBe(both);
  });

  test("parseRequestHead() refuses Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)", () => {
    expect(parse("POST / HTTP/1.0", "Transfer-Encoding: chunked")).toBe(
      "400 http1.invalid_transfer_encoding",
    );
  });

  test("parseRequestHead() closes after HTTP/1.0 unless the client asks for keep-alive", () => {
    expect(parse("GET / HTTP/1.0")).toMatchObject({
      http10: true,
      keepAlive: false,
      head: { authority: "" },
    });
    expect(parse("GET / HTTP/1.0", "Connection: keep-alive")).toMatchObject({ keepAlive: true });
    expect(parse("GET / HTTP/1.0", "Connection: keep-alive, close")).toMatchObject({ keepAlive: false });
    expect(parse("GET / HTTP/1.1", "Host: a", "Connection: close")).toMatchObject({ keepAlive: false });
  });

  test("parseRequestHead() hands the expectation on, as any field", () => {
    const parsed = parse("POST / HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 1");
    expect(parsed).toMatchObject({ head: { headers: ["expect", "100-continue"] } });
  });
});
