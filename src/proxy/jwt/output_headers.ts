/** What a workload is told of a verified token, in headers of its request. */
import { isMap } from "../../lib/is_map.ts";
import type { JwtRule } from "../../model/jwt_rule.ts";
import type { ParsedJwt } from "./parsed_jwt.ts";

/** Name, value, name, value …; a claim that is no text, number or boolean, or has a line break in it, is in none. */
export function outputHeaders(
  { claims, payload }: ParsedJwt,
  { payloadHeader, claimHeaders }: JwtRule,
): readonly string[] {
  const headers = payloadHeader === null ? [] : [payloadHeader, payload];
  for (const { header, claim } of claimHeaders) {
    const value = claimAt(claims, claim);
    if (!["string", "number", "boolean"].includes(typeof value)) continue;
    const text = fieldValue(String(value));
    if (text !== null) headers.push(header, text);
  }
  return headers;
}

/** The headers that nobody but the proxy may set. */
export function outputNames({ payloadHeader, claimHeaders }: JwtRule): readonly string[] {
  const names = claimHeaders.map(({ header }) => header);
  return payloadHeader === null ? names : [payloadHeader, ...names];
}

/** A claim of that name; else, at each dot, one within another. */
function claimAt(claims: unknown, name: string): unknown {
  if (!isMap(claims)) return undefined;
  if (Object.hasOwn(claims, name)) return claims[name];
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    const outer = name.slice(0, dot);
    if (Object.hasOwn(claims, outer)) return claimAt(claims[outer], name.slice(dot + 1));
  }
  return undefined;
}

/** Its UTF-8 as Latin-1, as heads have it; null: it would end the field, or the head. */
function fieldValue(text: string): string | null {
  const bytes = new TextEncoder().encode(text);
  if (bytes.some((byte) => byte < 0x20 || byte === 0x7f)) return null;
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("").trim();
}
