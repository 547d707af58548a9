import { describe, expect, test } from "bun:test";
import { REQUEST_LINE_BYTES_MAX } from "../../../../src/proxy/http1/limits.ts";
import {
  type Detected,
  type Expectation,
  ProtocolDetector,
} from "../../../../src/proxy/listener/protocol_detector.ts";
import { latin1 } from "../fake_wire.ts";
import { CLIENT_HELLOS } from "./client_hellos.ts";
import { message, records } from "./hello_parts.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const hello = (name: keyof typeof CLIENT_HELLOS) => CLIENT_HELLOS[name].toString("latin1");
const BROKEN_HELLO = Buffer.concat([records(message()).subarray(0, 9), Buffer.alloc(200, 255)]).toString(
  "latin1",
);

function detect(expectation: Expectation, text: string): Detected | null {
  return new ProtocolDetector(expectation).detect(latin1(text));
}

/** The same byte by byte: what was found at first, and after how many bytes. */
function detectSlowly(expectation: Expectation, text: string): [Detected | null, number] {
  const detector = new ProtocolDetector(expectation);
  for (let length = 1; length <= text.length; length++) {
    const detected = detector.detect(latin1(text.slice(0, length)));
    if (detected !== null) return [detected, length];
  }
  return [null, text.length];
}

/** Text, then what it is where nothing is declared, where HTTP is, where TLS is, and dialled straight at the proxy. */
const TABLE: readonly [string, Detected | null, Detected | null, Detected | null, Detected | null][] = [
  [PREFACE, "http2", "http2", "tcp", "http2"],
  ["GET / HTTP/1.1\r\n", "http1", "http1", "tcp", "http1"],
  ["M-SEARCH * HTTP/1.0\r\n", "http1", "http1", "tcp", "http1"],
  ["PRI * HTTP/1.1\r\n", "http1", "http1", "tcp", "http1"],
  ["CONNECT a:1 HTTP/1.1\r\n", "http1", "http1", "tcp", "http1"],
  [hello("bun"), "tls", "http1", "tls", "tls"],
  [hello("opensslWithoutName"), "tls", "http1", "tls", "tcp"],
  [BROKEN_HELLO, "malformed", "http1", "malformed", "tcp"],
  ["\x16\x03\x01\x00\x05\x02rest", "tcp", "http1", "tcp", "tcp"],
  ["SSH-2.0-OpenSSH\r\n", "tcp", "http1", "tcp", "http1"],
  ["EHLO mail.example\r\n", "tcp", "http1", "tcp", "http1"],
  ["GET /\r\n", "tcp", "http1", "tcp", "http1"],
  ["GET  HTTP/1.1\r\n", "tcp", "http1", "tcp", "http1"],
  ["GET / HTTP/3.0\r\n", "tcp", "http1", "tcp", "http1"],
  ["get / HTTP/1.1\r\n", "tcp", "http1", "tcp", "http1"],
  ["*1\r\n$4\r\nPING\r\n", "tcp", "http1", "tcp", "http1"],
  ["\x00\x03\x00\x00user\x00", "tcp", "http1", "tcp", "tcp"],
  [`${"A".repeat(33)} / HTTP/1.1`, "tcp", "http1", "tcp", "http1"],
  ["GE", null, "http1", "tcp", "http1"],
  ["GET /x HTT", null, "http1", "tcp", "http1"],
  ["PRI * HTTP/2.0\r\n", null, null, "tcp", null],
  ["\x16\x03", null, "http1", null, null],
];

describe("ProtocolDetector", () => {
  test.each(TABLE)("ProtocolDetector tells %p", (text, any, http, tls, direct) => {
    const expectations = { any, http, tls, direct } as const;
    for (const [expectation, expected] of Object.entries(expectations) as [Expectation, Detected | null][]) {
      expect([expectation, detect(expectation, text)]).toEqual([expectation, expected]);
      // A byte at a time it is found at the same byte at the latest, and never found to be another thing.
      expect([expectation, detectSlowly(expectation, text)[0]]).toEqual([expectation, expected]);
    }
  });

  test("ProtocolDetector gives the server's name with TLS", () => {
    const detector = new ProtocolDetector("any");
    expect([detector.detect(CLIENT_HELLOS.openssl13), detector.serverName]).toEqual(["tls", "store"]);
    const nameless = new ProtocolDetector("any");
    expect([nameless.detect(CLIENT_HELLOS.opensslWithoutName), nameless.serverName]).toEqual(["tls", null]);
  });

  test("ProtocolDetector waits for a request line as long as it may be, and no longer", () => {
    const line = (length: number) => `GET /${"a".repeat(length - 5)}`;
    expect(detect("any", line(REQUEST_LINE_BYTES_MAX))).toBeNull();
    expect(detect("any", `${line(REQUEST_LINE_BYTES_MAX)} HTTP/1.1`)).toBe("http1");
    expect(detect("any", line(REQUEST_LINE_BYTES_MAX + 1))).toBe("tcp");
    expect(detect("any", "A".repeat(32))).toBeNull();
    expect(detect("any", "A".repeat(33))).toBe("tcp");
  });
});
