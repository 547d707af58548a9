/** Heads of HTTP/1 messages onto a ByteWriter, with the framing that the body needs. */
import {
  BODY_LENGTH_UNKNOWN,
  type HeaderList,
  headerValue,
  type RequestHead,
  type ResponseHead,
} from "../exchange.ts";
import type { ByteWriter } from "../io/byte_writer.ts";
import { reasonPhrase } from "./reason_phrase.ts";

/** Writes a request in origin-form. True: the body goes in chunks. */
export function writeRequestHead(writer: ByteWriter, head: RequestHead): boolean {
  // Piece by piece: to put strings together, only to take the result apart, costs more.
  writer.text(head.method);
  writer.text(" ");
  writer.text(head.tunnel === "connect" ? head.authority : head.path);
  writer.text(" HTTP/1.1\r\n");
  writer.field("host", head.authority);
  writeFields(writer, head.headers);
  if (head.tunnel === "websocket") writer.text("connection: upgrade\r\nupgrade: websocket\r\n");
  if (head.tunnel != null) {
    writer.crlf();
    return false;
  }
  const chunked = head.bodyLength === BODY_LENGTH_UNKNOWN;
  if (chunked) writer.text("transfer-encoding: chunked\r\n");
  else if (head.bodyLength > 0 || expectsBody(head.method)) {
    writer.field("content-length", String(head.bodyLength));
  }
  writer.crlf();
  return chunked;
}

/** By status, once it was needed. */
const statusLines = new Array<string | undefined>(600);

function statusLine(status: number): string {
  return statusLines[status] ??= Buffer.from(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`).toString(
    "latin1",
  );
}

export interface ResponseFraming {
  /** The request was HEAD: the fields tell of a body that does not follow. */
  readonly toHead: boolean;
  readonly http10: boolean;
  readonly keepAlive: boolean;
  /** For an answer that has none (RFC 9110 §6.6.1): whoever passes it on is to say when it came. */
  readonly date: string;
}

/** True: the body goes in chunks. With HTTP/1.0 and a length that is not known, the end of the connection ends it. */
export function writeResponseHead(writer: ByteWriter, head: ResponseHead, framing: ResponseFraming): boolean {
  const { status } = head;
  writer.text(statusLine(status));
  writeFields(writer, head.headers);
  if (headerValue(head.headers, "date") === undefined) writer.field("date", framing.date);
  let chunked = false;
  if (status >= 200 && status !== 204) {
    if (head.bodyLength >= 0) {
      if (status !== 304 || head.bodyLength > 0) writer.field("content-length", String(head.bodyLength));
    } else if (status !== 304 && !framing.toHead && !framing.http10) {
      chunked = true;
      writer.text("transfer-encoding: chunked\r\n");
    }
  }
  if (!framing.keepAlive) writer.text("connection: close\r\n");
  else if (framing.http10) writer.text("connection: keep-alive\r\n");
  writer.crlf();
  return chunked;
}

/** The answer that turns the connection into a tunnel: 101 for WebSocket, 2xx for CONNECT, which has a date as any 2xx. */
export function writeTunnelHead(writer: ByteWriter, { status, headers }: ResponseHead, date: string): void {
  writer.text(statusLine(status));
  writeFields(writer, headers);
  if (status === 101) writer.text("connection: upgrade\r\nupgrade: websocket\r\n");
  else if (headerValue(headers, "date") === undefined) writer.field("date", date);
  writer.crlf();
}

export function writeInformational(writer: ByteWriter, status: number, headers: HeaderList): void {
  writer.text(statusLine(status));
  writeFields(writer, headers);
  writer.crlf();
}

/** The codec's own answer to what is no request, which ends the connection. */
export function writeRefusal(writer: ByteWriter, status: number, date: string): void {
  writer.text(`${statusLine(status)}date: ${date}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
}

/** A chunk of a body (RFC 9112 §7.1). False: pause the source. */
export function writeChunk(writer: ByteWriter, chunk: Uint8Array): boolean {
  // An empty chunk would end the body.
  if (chunk.length === 0) return true;
  writer.text(`${chunk.length.toString(16)}\r\n`);
  const room = writer.bytes(chunk);
  writer.crlf();
  return room;
}

export function writeLastChunk(writer: ByteWriter, trailers: HeaderList | null): void {
  writer.text("0\r\n");
  if (trailers !== null) writeFields(writer, trailers);
  writer.crlf();
}

function writeFields(writer: ByteWriter, headers: HeaderList): void {
  for (let i = 0; i < headers.length; i += 2) writer.field(headers[i] as string, headers[i + 1] as string);
}

/** Methods whose request says `content-length: 0` when it has no body (RFC 9110 §8.6). */
function expectsBody(method: string): boolean {
  return method === "POST" || method === "PUT" || method === "PATCH";
}
