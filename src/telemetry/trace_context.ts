/** Trace headers: W3C traceparent (Trace Context §3.2) and Envoy's x-request-id, made where a request enters the mesh. */
import { readLatin1 } from "../lib/latin1.ts";
import type { Random } from "../lib/prng.ts";

/** Versions above 00 may say more, behind another hyphen (Trace Context §3.2.4). */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
const ZERO_TRACE = "0".repeat(32);
const ZERO_SPAN = "0".repeat(16);

const DIGITS = Buffer.from("0123456789abcdef");

/**
 * What is the same in all of them stands here, and each new one is written over the last: a tenth of the time that it
 * takes to put a string together from 20 others.
 */
const traceparent = Buffer.from(`00-${ZERO_TRACE}-${ZERO_SPAN}-00`);
const TRACE_AT = 3;
const SPAN_AT = 36;
const requestId = Buffer.from("00000000-0000-4000-8000-000000000000");

export function isTraceparent(value: string): boolean {
  const match = TRACEPARENT.exec(value);
  if (match === null) return false;
  const [, version, trace, span, more] = match;
  if (version === "ff" || (version === "00" && more !== undefined)) return false;
  return trace !== ZERO_TRACE && span !== ZERO_SPAN;
}

/** A new trace, not sampled: whoever reports spans decides that. */
export function newTraceparent(random: Random): string {
  let zero = 0;
  for (let at = TRACE_AT; at < TRACE_AT + 32; at += 8) zero |= writeHex8(traceparent, at, random.uint32());
  // All zeroes is the one forbidden value; it comes up once in 2^64 spans.
  if (zero === 0) traceparent.fill("1", TRACE_AT, TRACE_AT + 32);
  zero = writeHex8(traceparent, SPAN_AT, random.uint32()) |
    writeHex8(traceparent, SPAN_AT + 8, random.uint32());
  if (zero === 0) traceparent.fill("1", SPAN_AT, SPAN_AT + 16);
  return readLatin1(traceparent, 0, traceparent.length);
}

/** A version 4 UUID (RFC 9562 §5.4). */
export function newRequestId(random: Random): string {
  const b = random.uint32();
  const c = random.uint32();
  writeHex8(requestId, 0, random.uint32());
  writeHex4(requestId, 9, b >>> 16);
  writeHex4(requestId, 14, (b & 0xfff) | 0x4000);
  writeHex4(requestId, 19, ((c >>> 16) & 0x3fff) | 0x8000);
  writeHex4(requestId, 24, c);
  writeHex8(requestId, 28, random.uint32());
  return readLatin1(requestId, 0, requestId.length);
}

/** Writes `value` in 8 digits, and returns it. */
function writeHex8(bytes: Buffer, at: number, value: number): number {
  writeHex4(bytes, at, value >>> 16);
  writeHex4(bytes, at + 4, value);
  return value;
}

/** Writes the lowest 16 bits of `value` in 4 digits. */
function writeHex4(bytes: Buffer, at: number, value: number): void {
  bytes[at] = DIGITS[(value >>> 12) & 0xf] as number;
  bytes[at + 1] = DIGITS[(value >>> 8) & 0xf] as number;
  bytes[at + 2] = DIGITS[(value >>> 4) & 0xf] as number;
  bytes[at + 3] = DIGITS[value & 0xf] as number;
}
