/** Trace headers: W3C traceparent (Trace Context §3.2) and Envoy's x-request-id, made where a request enters the mesh. */
import type { Random } from "../lib/prng.ts";

/** Versions above 00 may say more, behind another hyphen (Trace Context §3.2.4). */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
const ZERO_TRACE = "0".repeat(32);
const ZERO_SPAN = "0".repeat(16);

/** Two hex digits for every byte. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function isTraceparent(value: string): boolean {
  const match = TRACEPARENT.exec(value);
  if (match === null) return false;
  const [, version, trace, span, more] = match;
  if (version === "ff" || (version === "00" && more !== undefined)) return false;
  return trace !== ZERO_TRACE && span !== ZERO_SPAN;
}

/** A new trace, not sampled: whoever reports spans decides that. */
export function newTraceparent(random: Random): string {
  const trace = hex32(random) + hex32(random) + hex32(random) + hex32(random);
  const span = hex32(random) + hex32(random);
  // All zeroes is the one forbidden value; it comes up once in 2^64 spans.
  return `00-${trace === ZERO_TRACE ? "1".repeat(32) : trace}-${
    span === ZERO_SPAN ? "1".repeat(16) : span
  }-00`;
}

/** A version 4 UUID (RFC 9562 §5.4). */
export function newRequestId(random: Random): string {
  const a = hex32(random);
  const b = hex32(random);
  const c = hex32(random);
  const d = hex32(random);
  const variant = HEX[0x80 | (random.uint32() & 0x3f)] as string;
  return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-${variant}${c.slice(2, 4)}-${c.slice(4)}${d}`;
}

function hex32(random: Random): string {
  const n = random.uint32();
  return (HEX[n >>> 24] as string) + HEX[(n >>> 16) & 0xff] + HEX[(n >>> 8) & 0xff] + HEX[n & 0xff];
}
