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
import { MESH_HEADER_PREFIX } from "../mesh_headers.ts";
import { isAuthority } from "../message_syntax.ts";
import type { FieldSection } from "./field_section.ts";
import type { HpackEncoder } from "./hpack/encoder.ts";

/** The status of an answer that has none in HTTP/2, for the next proxy. */
const TRUE_STATUS_HEADER = `${MESH_HEADER_PREFIX}status`;

/** Undefined: malformed. `ended`: there is no body. That method and path are what they may be, `kindOfField` has seen. */
export function readRequestHead(section: FieldSection, ended: boolean): RequestHead | undefined {
  const { method, protocol, headers, host } = section;
  if (!section.isRequest || method === null) return undefined;
  const authority = section.authority ?? host ?? "";
  // §8.3.1: the two may not disagree.
  if (!isAuthority(authority) || (host !== null && host !== authority)) return undefined;
  const bodyLength = lengthOf(section.contentLength, ended);
  if (bodyLength === undefined) return undefined;
  if (method === "CONNECT" && protocol === null) {
    const { authority: target, scheme, path } = section;
    if (target === null || scheme !== null || path !== null) return undefined;
    // A tunnel without a stream for its bytes is none.
    if (!/:[0-9]{1,5}$/.test(target) || ended) return undefined;
    return {
      method,
      scheme: "http",
      authority,
      path: "",
      headers,
      bodyLength: 0,
      tunnel: "connect",
      http2: true,
    };
  }
  const scheme = section.scheme?.toLowerCase();
  const path = section.path ?? "";
  if (scheme !== "http" && scheme !== "https") return undefined;
  if (path.charCodeAt(0) !== 0x2f && !(path === "*" && method === "OPTIONS")) return undefined;
  if (protocol === null) {
    return { method, scheme, authority, path, headers, bodyLength, tunnel: null, http2: true };
  }
  // RFC 8441 §4: with HTTP/1 this was a GET that asked for an upgrade.
  if (method !== "CONNECT" || protocol !== "websocket" || ended || authority === "") return undefined;
  return { method: "GET", scheme, authority, path, headers, bodyLength: 0, tunnel: "websocket", http2: true };
}

/** Undefined: malformed. `bodiless`: whatever the fields say, no body follows. */
export function readResponseHead(
  section: FieldSection,
  ended: boolean,
  bodiless: boolean,
): ResponseHead | undefined {
  const { headers, host, contentLength } = section;
  const status = section.isResponse ? readStatus(section.status as string) : 0;
  if (status === 0) return undefined;
  if (host !== null) headers.push("host", host);
  if (bodiless || status < 200 || status === 204 || status === 304) {
    return { status, headers, bodyLength: contentLength };
  }
  const bodyLength = lengthOf(contentLength, ended);
  if (bodyLength === undefined) return undefined;
  // An empty body may have trailers behind it, which a message without a body has no place for.
  return { status, headers, bodyLength: bodyLength === 0 && !ended ? BODY_LENGTH_UNKNOWN : bodyLength };
}

/** 0: malformed. */
function readStatus(text: string): number {
  return text === "200" ? 200 : /^[1-5][0-9][0-9]$/.test(text) ? Number(text) : 0;
}

/** Undefined: malformed, as pseudo-header fields are after the body (§8.1). */
export function readTrailers(section: FieldSection): HeaderList | undefined {
  return section.isTrailers ? section.headers : undefined;
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
    if (head.neverIndexed?.has(":path")) encoder.secretField(":path", head.path);
    else encoder.field(":path", head.path);
  }
  if (head.authority !== "") encoder.field(":authority", head.authority);
  encodeFields(encoder, head.headers, head.neverIndexed);
  if (head.bodyLength > 0) encoder.field("content-length", String(head.bodyLength));
  // gRPC servers want to hear that trailers are understood; the hop before said so to us, not to them.
  if (headerValue(head.headers, "content-type")?.startsWith("application/grpc")) {
    encoder.field("te", "trailers");
  }
}

/** `bodiless`: the length is told, but nothing follows. */
export function encodeResponseHead(
  encoder: HpackEncoder,
  head: ResponseHead,
  bodiless: boolean,
  date: string,
): void {
  const { status, bodyLength } = head;
  encoder.begin();
  encoder.field(":status", String(status));
  encodeFields(encoder, head.headers, head.neverIndexed);
  if (status >= 200 && headerValue(head.headers, "date") === undefined) encoder.field("date", date);
  if (bodyLength > 0 || (bodyLength === 0 && !bodiless && status >= 200 && status !== 204)) {
    encoder.field("content-length", String(bodyLength));
  }
}

function encodeFields(encoder: HpackEncoder, headers: HeaderList, secrets?: ReadonlySet<string>): void {
  if (secrets !== undefined) {
    for (let i = 0; i < headers.length; i += 2) {
      const [name, value] = [headers[i] as string, headers[i + 1] as string];
      if (secrets.has(name)) encoder.secretField(name, value);
      else encoder.field(name, value);
    }
    return;
  }
  for (let i = 0; i < headers.length; i += 2) encoder.field(headers[i] as string, headers[i + 1] as string);
}

/**
 * The form of an answer to a WebSocket's upgrade that grants no tunnel. An HTTP/1 server that takes no notice of the
 * upgrade answers 200 as to any request; in HTTP/2 that, as any 2xx, would grant it (RFC 8441 §5).
 */
export function refusedUpgrade(head: ResponseHead): ResponseHead {
  const { status, headers } = head;
  if (status < 200 || status > 299) return head;
  return { ...head, status: 502, headers: [...headers, TRUE_STATUS_HEADER, String(status)] };
}

/** Undoes `refusedUpgrade`, in place. */
export function restoreRefusedUpgrade(head: ResponseHead): void {
  const { headers } = head;
  const at = headers.indexOf(TRUE_STATUS_HEADER);
  if (head.status !== 502 || at < 0 || at % 2 !== 0) return;
  const [, status = ""] = headers.splice(at, 2);
  if (/^2[0-9][0-9]$/.test(status)) head.status = Number(status);
}
