/**
 * Heads of HTTP/2 messages (RFC 9113 §8.3): decoded lists in, neutral heads out, and back. What would mean something
 * else, or nothing, in HTTP/1 is malformed here: that is what keeps an injection from crossing versions.
 */
import {
  BODY_LENGTH_UNKNOWN,
  type BodyLength,
  type HeaderList,
  headerValue,
  type RequestHead,
  type ResponseHead,
} from "../exchange.ts";
import { isAuthority, isFieldValue, isLowerToken, isTarget, isToken } from "../message_syntax.ts";
import type { HpackEncoder } from "./hpack/encoder.ts";

/** Fields of one HTTP/1 connection, which have no place here (§8.2.2). */
const CONNECTION_FIELDS = new Set([
  "connection",
  "proxy-connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
]);

interface Parts {
  pseudo: Map<string, string>;
  headers: HeaderList;
  /** -1: none. */
  contentLength: number;
  host: string | null;
}

/** Undefined: malformed. `ended`: there is no body. */
export function readRequestHead(list: HeaderList, ended: boolean): RequestHead | undefined {
  const parts = readParts(list);
  if (parts === undefined) return undefined;
  const { pseudo, headers, host, contentLength } = parts;
  const method = pseudo.get(":method");
  if (method === undefined || !isToken(method)) return undefined;
  const authority = pseudo.get(":authority") ?? host ?? "";
  // §8.3.1: the two may not disagree.
  if (!isAuthority(authority) || (host !== null && host !== authority)) return undefined;
  const bodyLength = lengthOf(contentLength, ended);
  if (bodyLength === undefined) return undefined;
  const protocol = pseudo.get(":protocol");
  if (method === "CONNECT" && protocol === undefined) {
    // A tunnel without a stream for its bytes is none.
    if (pseudo.size !== 2 || !/[^:]:[0-9]{1,5}$/.test(authority) || ended) return undefined;
    return { method, scheme: "http", authority, path: "", headers, bodyLength: 0, tunnel: "connect" };
  }
  const scheme = pseudo.get(":scheme")?.toLowerCase();
  const path = pseudo.get(":path") ?? "";
  if ((scheme !== "http" && scheme !== "https") || !isTarget(path)) return undefined;
  if (path.charCodeAt(0) !== 0x2f && !(path === "*" && method === "OPTIONS")) return undefined;
  const expected = (pseudo.has(":authority") ? 4 : 3) + (protocol === undefined ? 0 : 1);
  if (pseudo.size !== expected) return undefined;
  if (protocol === undefined) return { method, scheme, authority, path, headers, bodyLength, tunnel: null };
  // RFC 8441 §4: with HTTP/1 this was a GET that asked for an upgrade.
  if (method !== "CONNECT" || protocol !== "websocket" || ended || authority === "") return undefined;
  return { method: "GET", scheme, authority, path, headers, bodyLength: 0, tunnel: "websocket" };
}

/** Undefined: malformed. `bodiless`: whatever the fields say, no body follows. */
export function readResponseHead(
  list: HeaderList,
  ended: boolean,
  bodiless: boolean,
): ResponseHead | undefined {
  const parts = readParts(list);
  if (parts === undefined) return undefined;
  const { pseudo, headers, host, contentLength } = parts;
  const text = pseudo.get(":status");
  if (text === undefined || pseudo.size !== 1 || !/^[1-5][0-9][0-9]$/.test(text)) return undefined;
  if (host !== null) headers.push("host", host);
  const status = Number(text);
  if (bodiless || status < 200 || status === 204 || status === 304) {
    return { status, headers, bodyLength: contentLength };
  }
  const bodyLength = lengthOf(contentLength, ended);
  return bodyLength === undefined ? undefined : { status, headers, bodyLength };
}

/** Undefined: malformed, as pseudo-header fields are after the body (§8.1). */
export function readTrailers(list: HeaderList): HeaderList | undefined {
  const parts = readParts(list);
  if (parts === undefined || parts.pseudo.size > 0 || parts.host !== null || parts.contentLength >= 0) {
    return undefined;
  }
  return parts.headers;
}

function readParts(list: HeaderList): Parts | undefined {
  const parts: Parts = { pseudo: new Map(), headers: [], contentLength: -1, host: null };
  let cookie = -1;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string;
    const value = list[i + 1] as string;
    if (!isFieldValue(value) || isPadded(value)) return undefined;
    if (name.charCodeAt(0) === 0x3a) {
      if (parts.headers.length > 0 || parts.pseudo.has(name) || !isLowerToken(name.slice(1))) {
        return undefined;
      }
      parts.pseudo.set(name, value);
      continue;
    }
    if (!isLowerToken(name)) return undefined;
    if (name === "content-length") {
      if (!/^[0-9]{1,15}$/.test(value)) return undefined;
      if (parts.contentLength >= 0 && parts.contentLength !== Number(value)) return undefined;
      parts.contentLength = Number(value);
    } else if (name === "host") {
      if (parts.host !== null) return undefined;
      parts.host = value;
    } else if (name === "te") {
      // §8.2.2: it may say nothing else here, and every hop says it anew.
      if (value !== "trailers") return undefined;
    } else if (name === "cookie" && cookie >= 0) {
      // §8.2.3: crumbs are one field everywhere else.
      parts.headers[cookie] += `; ${value}`;
    } else {
      if (CONNECTION_FIELDS.has(name)) return undefined;
      if (name === "cookie") cookie = parts.headers.length + 1;
      parts.headers.push(name, value);
    }
  }
  return parts;
}

/** §8.2.1: a space or tab at either end. (`trim()` would take the last octet of `à` in UTF-8 for one.) */
function isPadded(value: string): boolean {
  const [first, last] = [value.charCodeAt(0), value.charCodeAt(value.length - 1)];
  return first === 0x20 || first === 0x09 || last === 0x20 || last === 0x09;
}

/** The length of a body; undefined when the end of the message contradicts it. */
function lengthOf(contentLength: number, ended: boolean): BodyLength | undefined {
  if (ended) return contentLength > 0 ? undefined : 0;
  return contentLength >= 0 ? contentLength : BODY_LENGTH_UNKNOWN;
}

export function encodeRequestHead(encoder: HpackEncoder, head: RequestHead): void {
  encoder.begin();
  encoder.field(":method", head.tunnel === "websocket" ? "CONNECT" : head.method);
  if (head.tunnel === "websocket") encoder.field(":protocol", "websocket");
  if (head.method !== "CONNECT") {
    encoder.field(":scheme", head.scheme);
    encoder.field(":path", head.path);
  }
  if (head.authority !== "") encoder.field(":authority", head.authority);
  encodeFields(encoder, head.headers);
  if (head.bodyLength > 0) encoder.field("content-length", String(head.bodyLength));
  // gRPC servers want to hear that trailers are understood; the hop before said so to us, not to them.
  if (headerValue(head.headers, "content-type")?.startsWith("application/grpc")) {
    encoder.field("te", "trailers");
  }
}

/** `bodiless`: the length is told, but nothing follows. */
export function encodeResponseHead(encoder: HpackEncoder, head: ResponseHead, bodiless: boolean): void {
  const { status, bodyLength } = head;
  encoder.begin();
  encoder.field(":status", String(status));
  encodeFields(encoder, head.headers);
  if (bodyLength > 0 || (bodyLength === 0 && !bodiless && status >= 200 && status !== 204)) {
    encoder.field("content-length", String(bodyLength));
  }
}

function encodeFields(encoder: HpackEncoder, headers: HeaderList): void {
  for (let i = 0; i < headers.length; i += 2) encoder.field(headers[i] as string, headers[i + 1] as string);
}
