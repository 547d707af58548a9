/**
 * What a field is to a message of HTTP/2 (RFC 9113 §8.2, §8.3). A table of HPACK remembers it with each of its entries,
 * so that a field that comes again is not looked at again: that was a tenth of what a request cost.
 */
import { isFieldValue, isLowerToken, isTarget, isToken } from "../message_syntax.ts";

export enum FieldKind {
  /** No message may have it: it would mean something else, or nothing, in HTTP/1. */
  Malformed,
  /** Goes on as it is. */
  Plain,
  Cookie,
  ContentLength,
  Host,
  /** Says `trailers`, and no more than that. */
  Te,
  Method,
  Scheme,
  Path,
  Authority,
  Protocol,
  Status,
}

const KIND_OF_NAME: ReadonlyMap<string, FieldKind> = new Map([
  ["cookie", FieldKind.Cookie],
  ["content-length", FieldKind.ContentLength],
  ["host", FieldKind.Host],
  ["te", FieldKind.Te],
  [":method", FieldKind.Method],
  [":scheme", FieldKind.Scheme],
  [":path", FieldKind.Path],
  [":authority", FieldKind.Authority],
  [":protocol", FieldKind.Protocol],
  [":status", FieldKind.Status],
  // Fields of one HTTP/1 connection, which have no place here (§8.2.2).
  ["connection", FieldKind.Malformed],
  ["proxy-connection", FieldKind.Malformed],
  ["keep-alive", FieldKind.Malformed],
  ["transfer-encoding", FieldKind.Malformed],
  ["upgrade", FieldKind.Malformed],
]);

export function kindOfName(name: string): FieldKind {
  return KIND_OF_NAME.get(name) ?? (isLowerToken(name) ? FieldKind.Plain : FieldKind.Malformed);
}

/** `nameKind` is that of the field's name. */
export function kindOfField(nameKind: FieldKind, value: string): FieldKind {
  if (!isFieldValue(value) || isPadded(value)) return FieldKind.Malformed;
  // §8.2.2: `te` may say nothing else here, and every hop says it anew.
  if (nameKind === FieldKind.Te && value !== "trailers") return FieldKind.Malformed;
  if (nameKind === FieldKind.Method && !isToken(value)) return FieldKind.Malformed;
  if (nameKind === FieldKind.Path && !isTarget(value)) return FieldKind.Malformed;
  return nameKind;
}

/** §8.2.1: a space or tab at either end. (`trim()` would take the last octet of `à` in UTF-8 for one.) */
function isPadded(value: string): boolean {
  return isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1));
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
