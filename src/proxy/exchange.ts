/**
 * The exchange: one request and its response in the form that nothing above the codecs can tell HTTP/1 from HTTP/2.
 * A codec's connection gives each request to an Acceptor, which answers with a handler; towards the upstream another
 * codec plays the mirror of it. Backpressure runs both ways: a false from `body` asks the source to pause.
 */

import type { RequestAuth } from "./jwt/request_auth.ts";

/** Flat: name, value, name, value …; names in lower case, values Latin-1. Without pseudo, framing and hop-by-hop fields. */
export type HeaderList = string[];

/** Length of a body: bytes, 0 for none, or BODY_LENGTH_UNKNOWN when only its end will tell. */
export type BodyLength = number;
export const BODY_LENGTH_UNKNOWN: BodyLength = -1;

/**
 * A request for a connection of bytes: WebSocket's upgrade, or CONNECT. Once the answer accepts it (101, or 2xx for
 * CONNECT), body chunks are the bytes, both ways, and each half ends on its own; refused, it is a request without a body.
 */
export type TunnelRequest = "websocket" | "connect";

/** Whether this answer opens the tunnel that was asked for. */
export function opensTunnel(asked: TunnelRequest | null | undefined, status: number): boolean {
  if (asked === "websocket") return status === 101;
  return asked === "connect" && status >= 200 && status < 300;
}

export interface RequestHead {
  method: string;
  scheme: string;
  /** Host and optional port as the client wrote them; empty for HTTP/1.0 without a Host. */
  authority: string;
  /** Path and query, from the slash; `*` for OPTIONS; empty for CONNECT. */
  path: string;
  headers: HeaderList;
  bodyLength: BodyLength;
  /** @default null */
  tunnel?: TunnelRequest | null;
  /** The request came in HTTP/2. @default false */
  http2?: boolean;
  /** Fields, by name, that no hop may index (RFC 7541 §7.1.3), beside those that are never indexed. @default none */
  neverIndexed?: ReadonlySet<string>;
  /** What its token says, verified by this proxy. @default it has none */
  auth?: RequestAuth;
}

export interface ResponseHead {
  status: number;
  headers: HeaderList;
  bodyLength: BodyLength;
  /** As in RequestHead. */
  neverIndexed?: ReadonlySet<string>;
}

/** Why an exchange broke off. */
export type ResetReason =
  /** The peer closed or reset before it was done. */
  | "closed"
  /** The peer says that it did nothing with it, and means to: GOAWAY, or REFUSED_STREAM. */
  | "refused"
  /** The peer broke the protocol. */
  | "protocol-error"
  /** No connection came about. */
  | "connect-failure"
  | "connect-timeout"
  /** The peer is not who discovery says it is, or its certificate does not hold. */
  | "peer-refused"
  /** Nothing moved for too long. */
  | "timeout"
  /** Our own side gave up. */
  | "cancelled";

/** The downstream end of one exchange, given to its handler: where the answer goes. */
export interface ServerStream {
  /** 1xx other than 101. */
  inform(status: number, headers: HeaderList): void;
  respond(head: ResponseHead): void;
  /** False: stop until `onDownstreamWritable`. */
  body(chunk: Uint8Array): boolean;
  end(trailers: HeaderList | null): void;
  /** Breaks off, so that a part of a response never looks whole. */
  reset(): void;
  pauseRequest(): void;
  resumeRequest(): void;
}

/** Takes what the client sends after the head. Calls come in order and stop after `onRequestEnd` or `onDownstreamReset`. */
export interface ServerHandler {
  onRequestBody(chunk: Uint8Array): void;
  onRequestEnd(trailers: HeaderList | null): void;
  /** After a timeout the stream may still be answered, here and now; if it is not, the codec says 408. */
  onDownstreamReset(reason: ResetReason): void;
  onDownstreamWritable(): void;
}

/** Takes new requests from a connection. `ended`: there is no body. */
export interface Acceptor {
  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler;
  /** A message that is no request: the codec answers it itself and closes; this counts it. */
  onMalformed(status: number, details: string): void;
}

/** The upstream end of one exchange: where the request goes. */
export interface ClientStream {
  body(chunk: Uint8Array): boolean;
  end(trailers: HeaderList | null): void;
  reset(): void;
  pauseResponse(): void;
  resumeResponse(): void;
}

/** Takes what the upstream answers. Calls stop after `onResponseEnd` or `onUpstreamReset`. */
export interface ClientHandler {
  onInform(status: number, headers: HeaderList): void;
  onResponse(head: ResponseHead): void;
  onResponseBody(chunk: Uint8Array): void;
  onResponseEnd(trailers: HeaderList | null): void;
  /** `processed` is false when the upstream cannot have acted on any of it: trying again is safe. */
  onUpstreamReset(reason: ResetReason, processed: boolean): void;
  onUpstreamWritable(): void;
}

/** The value of the first field of that name, or undefined. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) return headers[i + 1];
  }
  return undefined;
}
