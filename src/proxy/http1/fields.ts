/**
 * Field lines of an HTTP/1 head or trailer section (RFC 9112 §5), by the letter: no folding, no space before the colon,
 * no bare CR or LF, no control characters. Framing and hop-by-hop fields are taken out on the way, the rest is listed.
 */
import type { HeaderList } from "../exchange.ts";
import { isSecretField } from "../secret_fields.ts";
import { isToken, readContentLength, TOKEN_UPPER, tokenByte, valueByte } from "../message_syntax.ts";
import { MALFORMED, type Malformed } from "./malformed.ts";

/** What the fields of one message said. */
export class Fields {
  headers: HeaderList = [];
  /** Value of Host; null: none. */
  host: string | null = null;
  /** Value of Content-Length in bytes; -1: none. */
  contentLength = -1;
  chunked = false;
  /** `connection: close`. */
  close = false;
  /** `connection: keep-alive`, which HTTP/1.0 needs. */
  keepAlive = false;
  /** `connection: upgrade`. */
  upgrading = false;
  /** Value of Upgrade; null: none. */
  upgrade: string | null = null;
  /** Fields so far, listed or not. */
  count = 0;
}

type Meaning = "host" | "content-length" | "transfer-encoding" | "connection" | "upgrade" | "hop";

interface KnownName {
  readonly spelling: string;
  readonly lower: string;
  readonly meaning: Meaning | null;
  /**
   * The value that came last, in any message, or empty: most fields say the same again and again, and what is met again
   * needs no look at its characters, no new string and no new hash.
   */
  value: string;
  /** False for secrets, and for what differs every time. */
  readonly remembers: boolean;
}

/** A value is remembered if its head is no longer than this: it keeps all of the head's text alive. */
const REMEMBERED_HEAD_LENGTH_MAX = 4 * 1024;

const SELDOM_REPEATED = new Set(
  "content-length etag location traceparent tracestate x-request-id".split(" "),
);

/** A map, since an object would also find `constructor`. */
const SPECIAL: ReadonlyMap<string, Meaning> = new Map([
  ["host", "host"],
  ["content-length", "content-length"],
  ["transfer-encoding", "transfer-encoding"],
  ["connection", "connection"],
  ["keep-alive", "hop"],
  ["proxy-connection", "hop"],
  ["te", "hop"],
  ["upgrade", "upgrade"],
  ["http2-settings", "hop"],
]);

/**
 * Spellings that are met all the time, by the hash that reading a name comes to: most names are known without making a
 * string of them.
 */
const known = new Map<number, KnownName>();
for (
  const lower of [
    ...SPECIAL.keys(),
    ..."accept accept-encoding accept-language age authorization cache-control content-encoding content-type cookie"
      .split(" "),
    ..."date etag expires last-modified location origin pragma referer server set-cookie trailer traceparent"
      .split(" "),
    ..."tracestate user-agent vary via x-forwarded-for x-forwarded-proto x-request-id content-language".split(
      " ",
    ),
  ]
) {
  const meaning = SPECIAL.get(lower) ?? null;
  for (const spelling of [lower, lower.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase())]) {
    known.set(hashOf(spelling), {
      spelling,
      lower,
      meaning,
      value: "",
      remembers: !SELDOM_REPEATED.has(lower) && !isSecretField(lower),
    });
  }
}

function hashOf(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = hashStep(hash, name.charCodeAt(i));
  return hash;
}

function hashStep(hash: number, code: number): number {
  return (Math.imul(hash, 31) + code) | 0;
}

/**
 * Reads all lines of `text` from `start`, no more than `countMax`; each ends with CRLF, the last one too. Null:
 * well-formed.
 */
export function parseFields(
  text: string,
  start: number,
  fields: Fields,
  countMax: number,
): Malformed | null {
  const length = text.length;
  let position = start;
  let nominated: Set<string> | null = null;
  while (position < length) {
    if (++fields.count > countMax) return MALFORMED.tooManyFields;
    let colon = position;
    let kinds = 0;
    let hash = 0;
    for (;;) {
      const code = text.charCodeAt(colon);
      if (code === 0x3a) break;
      const kind = tokenByte[code];
      if (!kind) return MALFORMED.fieldName;
      kinds |= kind;
      hash = hashStep(hash, code);
      colon++;
    }
    if (colon === position) return MALFORMED.fieldName;
    const entry = knownName(hash, text, position, colon);
    let from = colon + 1;
    while (isWhitespace(text.charCodeAt(from))) from++;
    const again = entry !== undefined && isValue(entry.value, text, from);
    const lineEnd = again ? from + entry.value.length : endOfValue(text, from);
    if (lineEnd < 0 || text.charCodeAt(lineEnd + 1) !== 0x0a) return MALFORMED.fieldValue;
    let end = lineEnd;
    while (end > from && isWhitespace(text.charCodeAt(end - 1))) end--;
    const value = again ? entry.value : text.substring(from, end);

    let name: string;
    let meaning: Meaning | null;
    if (entry !== undefined) {
      name = entry.lower;
      meaning = entry.meaning;
      if (entry.remembers && length <= REMEMBERED_HEAD_LENGTH_MAX) entry.value = value;
    } else {
      name = text.substring(position, colon);
      if ((kinds & TOKEN_UPPER) !== 0) name = name.toLowerCase();
      meaning = SPECIAL.get(name) ?? null;
    }
    position = lineEnd + 2;
    if (meaning === null) {
      fields.headers.push(name, value);
    } else if (meaning === "connection") {
      nominated = readConnection(value, fields, nominated);
    } else {
      const malformed = readFraming(meaning, value, fields);
      if (malformed !== null) return malformed;
    }
  }
  if (nominated !== null) removeNominated(fields.headers, nominated);
  return null;
}

/** The name at `from` … `to`, which has this hash, if it is one that is known. */
function knownName(hash: number, text: string, from: number, to: number): KnownName | undefined {
  const entry = known.get(hash);
  const same = entry !== undefined && entry.spelling.length === to - from &&
    text.startsWith(entry.spelling, from);
  return same ? entry : undefined;
}

/** Whether the line's value is this one, which is not empty. */
function isValue(value: string, text: string, from: number): boolean {
  return value !== "" && text.charCodeAt(from + value.length) === 0x0d && text.startsWith(value, from);
}

/** Where the carriage return stands; -1: before it stands what no value may have. */
export function endOfValue(text: string, from: number): number {
  let at = from;
  for (let code = text.charCodeAt(at); code !== 0x0d; code = text.charCodeAt(++at)) {
    if (valueByte[code] !== 1) return -1;
  }
  return at;
}

function readFraming(meaning: Meaning, value: string, fields: Fields): Malformed | null {
  switch (meaning) {
    case "host":
      if (fields.host !== null) return MALFORMED.host;
      fields.host = value;
      return null;
    case "upgrade":
      // Several are an offer to choose from; the one that a mesh carries is asked for alone.
      fields.upgrade = fields.upgrade === null ? value : `${fields.upgrade}, ${value}`;
      return null;
    case "content-length": {
      // RFC 9112 §6.3 lets a recipient accept equal repeats; refusing them all leaves nothing to disagree about.
      if (fields.contentLength >= 0) return MALFORMED.contentLength;
      fields.contentLength = readContentLength(value);
      return fields.contentLength < 0 ? MALFORMED.contentLength : null;
    }
    case "transfer-encoding":
      if (fields.chunked) return MALFORMED.transferEncoding;
      if (value.toLowerCase() !== "chunked") return refuseCodings(value);
      fields.chunked = true;
      return null;
    default:
      return null;
  }
}

/**
 * RFC 9112 §6.3: a request whose last coding is not chunked MUST be answered 400. Other codings below it are not
 * understood (§6.1: 501), but chunked must not be there twice.
 */
function refuseCodings(value: string): Malformed {
  const codings = value.toLowerCase().split(",").map(trimWhitespace);
  const wellFormed = codings.every(isToken) && codings.indexOf("chunked") === codings.length - 1;
  return wellFormed ? MALFORMED.transferCoding : MALFORMED.transferEncoding;
}

/** RFC 9110 §5.6.3: space and tab only, where `trim` would take U+00A0 and others too. */
function trimWhitespace(text: string): string {
  let from = 0;
  let end = text.length;
  while (from < end && isWhitespace(text.charCodeAt(from))) from++;
  while (end > from && isWhitespace(text.charCodeAt(end - 1))) end--;
  return text.substring(from, end);
}

function isWhitespace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** RFC 9110 §7.6.1: options of this hop, and names of fields that end here. */
function readConnection(value: string, fields: Fields, nominated: Set<string> | null): Set<string> | null {
  if (value === "keep-alive") {
    fields.keepAlive = true;
    return nominated;
  }
  for (const part of value.split(",")) {
    const option = trimWhitespace(part).toLowerCase();
    if (option === "close") fields.close = true;
    else if (option === "keep-alive") fields.keepAlive = true;
    else if (option === "upgrade") fields.upgrading = true;
    else if (option !== "") (nominated ??= new Set()).add(option);
  }
  return nominated;
}

function removeNominated(headers: HeaderList, nominated: ReadonlySet<string>): void {
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (nominated.has(headers[i] as string)) continue;
    headers[kept] = headers[i] as string;
    headers[kept + 1] = headers[i + 1] as string;
    kept += 2;
  }
  headers.length = kept;
}
