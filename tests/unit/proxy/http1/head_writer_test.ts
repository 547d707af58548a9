/** What is written is what a reader reads: framing by RFC 9112 §6, and the way back through the parser. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { RequestHead, ResponseHead } from "../../../../src/proxy/exchange.ts";
import { parseRequestHead, parseResponseHead } from "../../../../src/proxy/http1/head.ts";
import {
  type ResponseFraming,
  writeChunk,
  writeInformational,
  writeLastChunk,
  writeRequestHead,
  writeResponseHead,
  writeTunnelHead,
} from "../../../../src/proxy/http1/head_writer.ts";
import { Malformed } from "../../../../src/proxy/http1/malformed.ts";
import { ByteWriter } from "../../../../src/proxy/io/byte_writer.ts";
import { FakeWire, latin1 } from "../fake_wire.ts";
import { requestHead } from "../request_head.ts";

function written(write: (writer: ByteWriter) => unknown): string {
  const wire = new FakeWire();
  const writer = new ByteWriter(wire, () => {});
  write(writer);
  writer.flush();
  return wire.written;
}

const DATE = "Sun, 06 Nov 1994 08:49:37 GMT";

function request(head: Partial<RequestHead>): string {
  return written((writer) => writeRequestHead(writer, requestHead(head)));
}

function response(head: Partial<ResponseHead>, framing: Partial<ResponseFraming> = {}): string {
  const full = { status: 200, headers: [], bodyLength: 0, ...head };
  const given = { toHead: false, http10: false, keepAlive: true, date: DATE, ...framing };
  return written((writer) => writeResponseHead(writer, full, given));
}

describe("writeRequestHead()", () => {
  test("writeRequestHead() writes origin-form with the Host first", () => {
    expect(request({ authority: "shop:80", path: "/a?b", headers: ["x", "y", "x", "z"] })).toBe(
      "GET /a?b HTTP/1.1\r\nhost: shop:80\r\nx: y\r\nx: z\r\n\r\n",
    );
  });

  test("writeRequestHead() says a length for every body, and 0 where a method means one (RFC 9110 §8.6)", () => {
    for (const method of ["POST", "PUT", "PATCH"]) {
      expect(request({ method })).toContain("content-length: 0\r\n");
    }
    for (const method of ["GET", "HEAD", "DELETE", "OPTIONS"]) {
      expect(request({ method })).not.toContain("content");
    }
    expect(request({ bodyLength: 5 })).toContain("content-length: 5\r\n");
    expect(request({ bodyLength: -1 })).toContain("transfer-encoding: chunked\r\n");
    expect(request({ bodyLength: -1 })).not.toContain("content-length");
  });
});

describe("writeResponseHead()", () => {
  test("writeResponseHead() frames the body as status, method and version allow", () => {
    const line = "HTTP/1.1 200 OK\r\n";
    expect(response({ bodyLength: 5 })).toBe(`${line}content-length: 5\r\n\r\n`);
    expect(response({ bodyLength: 0 })).toBe(`${line}content-length: 0\r\n\r\n`);
    expect(response({ bodyLength: -1 })).toBe(`${line}transfer-encoding: chunked\r\n\r\n`);
    expect(response({ bodyLength: -1 }, { toHead: true })).toBe(`${line}\r\n`);
    expect(response({ bodyLength: 5 }, { toHead: true })).toBe(`${line}content-length: 5\r\n\r\n`);
    expect(response({ bodyLength: -1 }, { http10: true, keepAlive: false })).toBe(
      `${line}connection: close\r\n\r\n`,
    );
    expect(response({ bodyLength: 1 }, { http10: true })).toContain("connection: keep-alive\r\n");
  });

  test("writeResponseHead() says no length with 204 (RFC 9110 §8.6), and with 304 only a real one", () => {
    expect(response({ status: 204, bodyLength: 0 })).toBe("HTTP/1.1 204 No Content\r\n\r\n");
    expect(response({ status: 204, bodyLength: -1 })).toBe("HTTP/1.1 204 No Content\r\n\r\n");
    expect(response({ status: 304, bodyLength: 0 })).toBe("HTTP/1.1 304 Not Modified\r\n\r\n");
    expect(response({ status: 304, bodyLength: -1 })).toBe("HTTP/1.1 304 Not Modified\r\n\r\n");
    expect(response({ status: 304, bodyLength: 7 })).toContain("content-length: 7\r\n");
  });

  test("writeResponseHead() says close, and writes a status that has no phrase", () => {
    expect(response({ status: 299 }, { keepAlive: false })).toBe(
      "HTTP/1.1 299 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
  });
});

describe("writeTunnelHead()", () => {
  const tunnel = (status: number, ...headers: string[]) => {
    const wire = new FakeWire();
    const writer = new ByteWriter(wire, () => {});
    writeTunnelHead(writer, { status, headers, bodyLength: 0 }, DATE);
    writer.flush();
    return wire.dated;
  };

  test("writeTunnelHead() says with a 101 what the connection becomes, and no date", () => {
    expect(tunnel(101, "a", "b")).toBe(
      "HTTP/1.1 101 Switching Protocols\r\na: b\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    );
  });

  test("writeTunnelHead() dates what grants a CONNECT, unless the upstream has", () => {
    expect(tunnel(200)).toBe(`HTTP/1.1 200 OK\r\ndate: ${DATE}\r\n\r\n`);
    expect(tunnel(200, "date", "then")).toBe("HTTP/1.1 200 OK\r\ndate: then\r\n\r\n");
  });
});

describe("chunks", () => {
  test("writeChunk() writes no empty chunk: it would end the body", () => {
    expect(written((writer) => writeChunk(writer, new Uint8Array(0)))).toBe("");
    expect(written((writer) => writeChunk(writer, latin1("x".repeat(26))))).toBe(
      `1a\r\n${"x".repeat(26)}\r\n`,
    );
  });

  test("writeLastChunk() and writeInformational() end with an empty line", () => {
    expect(written((writer) => writeLastChunk(writer, null))).toBe("0\r\n\r\n");
    expect(written((writer) => writeLastChunk(writer, ["a", "b"]))).toBe("0\r\na: b\r\n\r\n");
    expect(written((writer) => writeInformational(writer, 103, ["a", "b"]))).toBe(
      "HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n",
    );
  });
});

const NAME = fc.string({ unit: fc.constantFrom(..."abcxyz019-_!~"), minLength: 1, maxLength: 12 }).map((n) =>
  `x${n}`
);
const VALUE = fc.string({ unit: fc.constantFrom(...'aZ09 ,;=\t"\\\xe9\xff'), maxLength: 60 }).map((v) =>
  v.replace(/^[ \t]+|[ \t]+$/g, "")
);
const HEADERS = fc.array(fc.tuple(NAME, VALUE), { maxLength: 20 }).map((fields) => fields.flat());
const RUNS = { seed: 20_260, numRuns: 200 };

describe("the way back", () => {
  test("a request head that was written is read again as it was (property)", () => {
    const head = fc.record({
      method: fc.constantFrom("GET", "POST", "M-SEARCH", "PATCH"),
      scheme: fc.constant("http"),
      authority: fc.constantFrom("a", "shop.ns:8080", "[::1]:80"),
      path: fc.string({ unit: fc.constantFrom(..."/ab?=&%;.") }).map((path) => `/${path}`),
      headers: HEADERS,
      bodyLength: fc.constantFrom(-1, 0, 1, 999_999_999_999_999),
      tunnel: fc.constant(null),
    });
    fc.assert(
      fc.property(head, (original) => {
        const parsed = parseRequestHead(request(original).slice(0, -2), "http");
        if (parsed instanceof Malformed) throw new Error(parsed.details);
        expect(parsed.head).toEqual(original);
        expect(parsed.keepAlive).toBe(true);
      }),
      RUNS,
    );
  });

  test("a response head that was written is read again as it was (property)", () => {
    const head = fc.record({
      status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
      headers: HEADERS,
      bodyLength: fc.constantFrom(-1, 0, 1, 999_999_999_999_999),
    });
    fc.assert(
      fc.property(head, fc.boolean(), (original, keepAlive) => {
        const parsed = parseResponseHead(response(original, { keepAlive }).slice(0, -2), false);
        if (parsed instanceof Malformed) throw new Error(parsed.details);
        const { status, headers, bodyLength } = original;
        expect(parsed.head).toEqual({ status, headers, bodyLength });
        expect(parsed).toMatchObject({ keepAlive, chunked: bodyLength === -1 });
      }),
      RUNS,
    );
  });
});
