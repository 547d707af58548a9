/** Request and response heads of HTTP/1 (RFC 9112 §2–4): text in, neutral head and framing out. */
import { BODY_LENGTH_UNKNOWN, type RequestHead, type ResponseHead } from "../exchange.ts";
import { DEFAULT_LIMITS } from "../../model/limits.ts";
import { isAuthority, isTarget, isToken } from "../message_syntax.ts";
import { endOfValue, Fields, parseFields } from "./fields.ts";
import { REQUEST_LINE_BYTES_MAX } from "./limits.ts";
import { lineTooLong, MALFORMED, type Malformed } from "./malformed.ts";

export interface ParsedRequest {
  readonly head: RequestHead;
  /** The connection stays open after the response, as far as the client is concerned. */
  readonly keepAlive: boolean;
  /** HTTP/1.0: no chunked coding, no 1xx. */
  readonly http10: boolean;
}

export interface ParsedResponse {
  readonly head: ResponseHead;
  readonly keepAlive: boolean;
  readonly chunked: boolean;
  /** Protocol that a 101 switches to, in lower case; null: it names none. */
  readonly upgrade: string | null;
}

const VERSION = /^HTTP\/([0-9])\.([0-9])$/;

/**
 * `text` is the head without the empty line: every line in it ends with CRLF. `scheme` is that of the connection;
 * an absolute-form target says its own.
 */
export function parseRequestHead(
  text: string,
  scheme: string,
  countMax = DEFAULT_LIMITS.requestHeaderCount,
): ParsedRequest | Malformed {
  const lineEnd = text.indexOf("\r\n");
  if (lineEnd > REQUEST_LINE_BYTES_MAX) return lineTooLong(text.slice(0, REQUEST_LINE_BYTES_MAX));
  const methodEnd = text.indexOf(" ");
  const targetEnd = text.indexOf(" ", methodEnd + 1);
  if (methodEnd <= 0 || targetEnd < 0 || targetEnd > lineEnd) return MALFORMED.requestLine;
  // The same string every time is worth more than what it costs to look for it.
  const method = text.startsWith("GET ")
    ? "GET"
    : text.startsWith("POST ")
    ? "POST"
    : text.substring(0, methodEnd);
  if (!isToken(method)) return MALFORMED.requestLine;
  const http10 = !text.startsWith("HTTP/1.1\r\n", targetEnd + 1);
  if (http10) {
    const last = text.substring(targetEnd + 1, lineEnd);
    const version = VERSION.exec(last);
    if (version === null) return noVersion(text.substring(methodEnd + 1, targetEnd), last);
    if (version[1] !== "1" || version[2] !== "0") return MALFORMED.version;
  }
  const target = text.substring(methodEnd + 1, targetEnd);
  if (!isTarget(target)) return MALFORMED.target;

  const fields = new Fields();
  const malformed = parseFields(text, lineEnd + 2, fields, countMax);
  if (malformed !== null) return malformed;
  if (fields.host === null ? !http10 : !isAuthority(fields.host)) return MALFORMED.host;
  if (fields.chunked) {
    if (http10) return MALFORMED.transferEncoding;
    if (fields.contentLength >= 0) return MALFORMED.bothLengths;
  }
  const head: RequestHead = {
    method,
    scheme,
    authority: fields.host ?? "",
    path: target,
    headers: fields.headers,
    bodyLength: fields.chunked ? BODY_LENGTH_UNKNOWN : Math.max(0, fields.contentLength),
    tunnel: null,
  };
  if (isWebSocket(fields, method) && !http10 && head.bodyLength === 0) head.tunnel = "websocket";
  const originForm = target.charCodeAt(0) === 0x2f && method !== "CONNECT";
  if (!originForm && !readTarget(target, head)) return MALFORMED.target;
  return { head, keepAlive: http10 ? fields.keepAlive && !fields.close : !fields.close, http10 };
}

/**
 * A line without a version. RFC 9112 §2.2 wants 400 for what appears to be a request; three words of which none is HTTP's
 * do not, as those of a preface that is none of HTTP/2 (RFC 9113 §3.4).
 */
function noVersion(target: string, last: string): Malformed {
  const appearsToBeHttp = /^[/*]|:|^$/.test(target) || / |http|^$/i.test(last);
  return appearsToBeHttp ? MALFORMED.requestLine : MALFORMED.foreign;
}

/** Absolute-, authority- and asterisk-form (RFC 9112 §3.2.2–3.2.4). The target's authority beats the Host field. */
function readTarget(target: string, head: RequestHead): boolean {
  if (target === "*") return head.method === "OPTIONS";
  if (head.method === "CONNECT") {
    // RFC 9112 §3.2.3; what comes after the head belongs to the tunnel, so it has no framing of its own.
    if (head.bodyLength !== 0) return false;
    head.tunnel = "connect";
    head.authority = target;
    head.path = "";
    return /:[0-9]{1,5}$/.test(target) && isAuthority(target);
  }
  const absolute = /^(https?):\/\/([^/?]+)(.*)$/i.exec(target);
  if (absolute === null) return false;
  const [, scheme, authority, rest] = absolute as unknown as [string, string, string, string];
  head.scheme = scheme.toLowerCase();
  head.authority = authority;
  // RFC 9112 §3.2.4: without path and query, OPTIONS is about the server as a whole.
  if (rest === "" && head.method === "OPTIONS") head.path = "*";
  else head.path = rest.startsWith("/") ? rest : `/${rest}`;
  return isAuthority(authority);
}

/** RFC 6455 §4.1. Any other upgrade may be ignored (RFC 9110 §7.8), and is. */
function isWebSocket(fields: Fields, method: string): boolean {
  return fields.upgrading && method === "GET" && fields.upgrade?.toLowerCase() === "websocket";
}

/** `toHead`: the request was HEAD, so no body follows whatever the fields say. */
export function parseResponseHead(
  text: string,
  toHead: boolean,
  countMax = DEFAULT_LIMITS.responseHeaderCount,
): ParsedResponse | Malformed {
  const lineEnd = text.indexOf("\r\n");
  const status = digit(text, 9) * 100 + digit(text, 10) * 10 + digit(text, 11);
  const http11 = text.startsWith("HTTP/1.1 ");
  if ((!http11 && !text.startsWith("HTTP/1.0 ")) || !(status >= 100 && status <= 599)) {
    return MALFORMED.statusLine;
  }
  if (lineEnd !== 12 && text.charCodeAt(12) !== 0x20) return MALFORMED.statusLine;
  if (endOfValue(text, 12) !== lineEnd) return MALFORMED.statusLine;
  const fields = new Fields();
  const malformed = parseFields(text, lineEnd + 2, fields, countMax);
  if (malformed !== null) return malformed;
  if (fields.chunked && (fields.contentLength >= 0 || !http11)) return MALFORMED.bothLengths;
  const bodiless = toHead || status < 200 || status === 204 || status === 304;
  if (status < 200 || status === 204) {
    if (fields.chunked || fields.contentLength > 0) return MALFORMED.bothLengths;
  }
  let bodyLength = fields.contentLength;
  if (bodiless && fields.chunked) bodyLength = BODY_LENGTH_UNKNOWN;
  const delimited = bodiless || fields.chunked || bodyLength >= 0;
  if (fields.host !== null) fields.headers.push("host", fields.host);
  return {
    head: { status, headers: fields.headers, bodyLength },
    keepAlive: delimited && (http11 ? !fields.close : fields.keepAlive && !fields.close),
    chunked: fields.chunked && !bodiless,
    upgrade: fields.upgrading ? fields.upgrade?.toLowerCase() ?? null : null,
  };
}

/** NaN for anything but a digit. */
function digit(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39 ? code - 0x30 : Number.NaN;
}
