/** The parts of a JWT between its dots (RFC 7515 §3): base64url without padding. */
import { isMap } from "./is_map.ts";

const BASE64URL = /^[A-Za-z0-9_-]+$/;

export function isBase64url(text: string): boolean {
  return BASE64URL.test(text);
}

/** The JSON object that a header or payload is. Undefined: it is none. */
export function decodeJwtPart(text: string): Record<string, unknown> | undefined {
  if (!isBase64url(text)) return undefined;
  try {
    const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isMap(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
