/**
 * The one place where a failure becomes an answer: status, response flags, details and text as Envoy gives them, and
 * for gRPC a status in the trailers-only form.
 */
import { FLAG } from "../telemetry/response_flags.ts";
import { type HeaderList, headerValue, type RequestHead, type ResponseHead } from "./exchange.ts";
import { REPLY_HEADER } from "./mesh_headers.ts";

export interface LocalReply {
  readonly status: number;
  readonly flags: string;
  /** Envoy's `%RESPONSE_CODE_DETAILS%`. */
  readonly details: string;
  /** Body for a client that speaks plain HTTP; may be empty. */
  readonly text: string;
  /** Says `x-envoy-overloaded`: a limit of the cluster was hit, so trying again at once is no use. */
  readonly overloaded?: true;
  /** Body in bytes, instead of the text. */
  readonly bytes?: Uint8Array;
  /** Further fields of the head. */
  readonly headers?: HeaderList;
  /** For a gRPC client. @default what the status means to gRPC */
  readonly grpcStatus?: number;
}

const UPSTREAM = "upstream connect error or disconnect/reset before headers. reset reason:";

/** What a proxy that has too much asks for (RFC 9110 §10.2.3): most of it is over by then. */
export const RETRY_AFTER_SECONDS = "1";

export const LOCAL_REPLY = {
  noRoute: { status: 404, flags: FLAG.noRoute, details: "route_not_found", text: "" },
  toProxyItself: {
    status: 404,
    flags: FLAG.noRoute,
    details: "route_not_found",
    text: "the host is the proxy itself, or has a port that is none: name a service, as in Host: web:8080",
  },
  noPort: {
    status: 404,
    flags: FLAG.noRoute,
    details: "route_not_found",
    text: "the host names no port that this workload serves",
  },
  noHost: {
    status: 400,
    flags: FLAG.none,
    details: "missing_host_header",
    text: "the request names no host, and its connection was going nowhere but to the proxy",
  },
  pathEscape: badPath("invalid_escape", "The path has a % without two hexadecimal digits behind it"),
  pathEscapedSlash: badPath("escaped_slash", "The path has an escaped slash or backslash (%2F, %5C) in it"),
  pathControl: badPath("control_character", "The path has an escaped control character in it"),
  pathDotParameters: badPath(
    "dot_parameters",
    "The path has an empty or dot segment with parameters (..;) in it",
  ),
  pathSlashesBeforeDots: badPath(
    "slashes_before_dots",
    "The path has several slashes before a dot segment (//..), and is not normalised here",
  ),
  pathTooManyMatches: {
    status: 400,
    flags: FLAG.none,
    details: "path_rewrite_failed{too_many_matches}",
    text: "The path is too long for so many parts of it to be replaced by the regular expression of its rule",
  },
  headTooLarge: {
    status: 431,
    flags: FLAG.none,
    details: "request_headers_too_large",
    text: "what rules add to its head makes the request larger than a proxy takes (request-header-bytes)",
  },
  /** Details and text as Envoy's. */
  requestStalled: {
    status: 408,
    flags: FLAG.streamIdleTimeout,
    details: "stream_idle_timeout",
    text: "stream timeout",
  },
  tooManyRequests: {
    status: 503,
    flags: FLAG.overload,
    details: "overload",
    text: "too many requests in flight",
    headers: ["retry-after", RETRY_AFTER_SECONDS],
  },
  tooManyVerifications: {
    status: 503,
    flags: FLAG.overload,
    details: "jwt_authn_overload",
    text: "too many tokens are being verified",
    headers: ["retry-after", RETRY_AFTER_SECONDS],
  },
  plainTextRefused: {
    status: 403,
    flags: FLAG.none,
    details: "plain_text_refused",
    text: "this workload is called over mutual TLS only",
  },
  checkedBodyTooLarge: {
    status: 413,
    flags: FLAG.none,
    details: "request_payload_too_large",
    text: "a request to this workload is checked with its body, and this body is longer than what is checked",
  },
  optionsOfProxy: { status: 200, flags: FLAG.none, details: "max_forwards", text: "" },
  traceOfProxy: {
    status: 501,
    flags: FLAG.none,
    details: "max_forwards",
    text:
      "the request may not go further than to this proxy (Max-Forwards), which shows no request to anybody",
  },
  /** No policy that allows does. */
  rbacDenied: rbac("none"),
  noCluster: { status: 503, flags: FLAG.noCluster, details: "cluster_not_found", text: "" },
  httpsInPlainText: {
    status: 400,
    flags: FLAG.none,
    details: "https_in_plain_text",
    text:
      "an https URL of a host outside the mesh would leave in plain text: ask for it by CONNECT, or by http",
  },
  requestToTls: {
    status: 400,
    flags: FLAG.none,
    details: "request_to_tls",
    text:
      "the port is declared to carry TLS, and a request to it would leave in plain text: ask for it by CONNECT",
  },
  blocked: { status: 502, flags: FLAG.none, details: "direct_response", text: "" },
  noHealthyUpstream: {
    status: 503,
    flags: FLAG.noHealthyUpstream,
    details: "no_healthy_upstream",
    text: "no healthy upstream",
  },
  dnsFailure: {
    status: 503,
    flags: FLAG.dnsFailure,
    details: "dns_resolution_failure",
    text: "no healthy upstream: the name of the upstream has no address",
  },
  overflow: {
    status: 503,
    flags: FLAG.overflow,
    details: "overflow",
    text: `${UPSTREAM} overflow`,
    overloaded: true,
  },
  connectFailure: {
    status: 503,
    flags: FLAG.upstreamConnectFailure,
    details: "upstream_reset_before_response_started{connection_failure}",
    text: `${UPSTREAM} connection failure`,
  },
  upstreamClosed: {
    status: 503,
    flags: FLAG.upstreamClosed,
    details: "upstream_reset_before_response_started{connection_termination}",
    text: `${UPSTREAM} connection termination`,
  },
  upstreamRefused: {
    status: 503,
    flags: FLAG.upstreamReset,
    details: "upstream_reset_before_response_started{remote_refused_stream_reset}",
    text: `${UPSTREAM} remote refused stream reset`,
  },
  upstreamProtocolError: {
    status: 502,
    flags: FLAG.upstreamProtocolError,
    details: "upstream_reset_before_response_started{protocol_error}",
    text: `${UPSTREAM} protocol error`,
  },
  requestTimeout: {
    status: 504,
    flags: FLAG.upstreamTimeout,
    details: "response_timeout",
    text: "upstream request timeout",
  },
  attemptTimeout: {
    status: 504,
    flags: FLAG.upstreamTimeout,
    details: "upstream_per_try_timeout",
    text: "upstream request timeout",
  },
  upstreamTimeout: {
    status: 504,
    flags: FLAG.upstreamTimeout,
    details: "upstream_response_timeout",
    text: "upstream request timeout",
  },
} as const satisfies Record<string, LocalReply>;

/** A path without a normal form; Envoy's details, and in braces what ours are about. */
function badPath(why: string, text: string): LocalReply {
  return { status: 400, flags: FLAG.none, details: `path_normalization_failed{${why}}`, text };
}

/** A rule of a policy refuses; `policy` is `NAMESPACE/NAME`. Details as Istio's. */
export function rbacDenied(policy: string, rule: number): LocalReply {
  const [namespace, name] = policy.split("/");
  return rbac(`ns[${namespace}]-policy[${name}]-rule[${rule}]`);
}

function rbac(which: string): LocalReply {
  const details = `rbac_access_denied_matched_policy[${which}]`;
  return { status: 403, flags: FLAG.none, details, text: "RBAC: access denied" };
}

/** The longest realm (Envoy's). */
const REALM_LENGTH_MAX = 256;

/** A token that does not hold; `fault` is Envoy's text. The realm is the request's URL without the query, as Envoy's. */
export function jwtRefused(fault: string, { scheme, authority, path }: RequestHead): LocalReply {
  const url = `${scheme}://${authority}${path.replace(/\?.*$/, "")}`;
  const realm = url.slice(0, REALM_LENGTH_MAX).replace(/[^\x21\x23-\x5b\x5d-\x7e]/g, "");
  return {
    status: 401,
    flags: FLAG.none,
    details: `jwt_authn_access_denied{${fault.replaceAll(" ", "_")}}`,
    text: fault,
    headers: ["www-authenticate", `Bearer realm="${realm}", error="invalid_token"`],
  };
}

/** Whoever a policy asks denied the request; the fields are its own. */
export function extAuthzDenied(status: number, bytes: Uint8Array, headers: HeaderList): LocalReply {
  return { status, flags: FLAG.externalDenial, details: "ext_authz_denied", text: "", bytes, headers };
}

/** Whoever has to allow the request could not be asked. */
export function extAuthzFailed(status: number): LocalReply {
  return { status, flags: FLAG.externalDenial, details: "ext_authz_error", text: "" };
}

/** A fault that a route injects: an HTTP status, or a gRPC status and the HTTP status that it means to others. */
export function faultAbort(
  abort: { readonly httpStatus: number } | { readonly grpcStatus: number },
): LocalReply {
  const reply = { flags: FLAG.faultInjected, details: "fault_filter_abort", text: "fault filter abort" };
  if ("httpStatus" in abort) return { ...reply, status: abort.httpStatus };
  const { grpcStatus } = abort;
  return { ...reply, status: HTTP_STATUS_OF_GRPC[grpcStatus] ?? 500, grpcStatus };
}

/** What a route answers itself. */
export function directResponse(status: number, bytes: Uint8Array): LocalReply {
  return { status, flags: FLAG.none, details: "direct_response", text: "", bytes };
}

export function redirect(status: number, location: string): LocalReply {
  return { status, flags: FLAG.none, details: "direct_response", text: "", headers: ["location", location] };
}

/** By gRPC status from 0 on, as grpc-gateway maps them and Envoy does. */
const HTTP_STATUS_OF_GRPC: readonly number[] = [
  ...[200, 499, 500, 400, 504, 404, 409, 403, 429],
  ...[400, 409, 400, 501, 500, 503, 500, 401],
];

/** gRPC status of an HTTP status (gRPC over HTTP/2, "HTTP to gRPC status code mapping"). */
export function grpcStatusOf(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

const GRPC_TYPE = "application/grpc";
const PLUS = 0x2b;
const SEMICOLON = 0x3b;

/** Whether a request is gRPC, by its content type: `application/grpc`, perhaps with `+proto` and the like. */
export function isGrpc({ headers }: Pick<RequestHead, "headers">): boolean {
  const type = headerValue(headers, "content-type");
  if (type === undefined || !type.startsWith(GRPC_TYPE)) return false;
  const next = type.charCodeAt(GRPC_TYPE.length);
  return Number.isNaN(next) || next === PLUS || next === SEMICOLON;
}

/** What a trailers-only answer has once, whatever else is passed on. */
const GRPC_FIELDS: ReadonlySet<string> = new Set(["content-type", "grpc-status", "grpc-message"]);

/** The fields of an answer to a gRPC client that has neither body nor trailers. */
export function trailersOnly(grpcStatus: number, message: string): HeaderList {
  return [
    ...["content-type", GRPC_TYPE],
    ...["grpc-status", String(grpcStatus)],
    ...["grpc-message", encodeURI(message.toWellFormed())],
  ];
}

/** Head and body of the answer; `proxy` says whose it is (`outbound tutorial/customer`). */
export function renderLocalReply(
  reply: LocalReply,
  grpc: boolean,
  proxy: string,
): { head: ResponseHead; body: Uint8Array | null } {
  const more = [REPLY_HEADER, `${reply.flags} ${reply.details}; ${proxy}`, ...reply.headers ?? []];
  if (reply.overloaded) more.push("x-envoy-overloaded", "true");
  const body = reply.bytes ?? new TextEncoder().encode(reply.text);
  if (grpc) {
    const text = reply.bytes === undefined ? reply.text : new TextDecoder().decode(reply.bytes);
    const headers = trailersOnly(
      reply.grpcStatus ?? grpcStatusOf(reply.status),
      text === "" ? reply.details : text,
    );
    for (let i = 0; i < more.length; i += 2) {
      if (!GRPC_FIELDS.has(more[i] as string)) headers.push(more[i] as string, more[i + 1] as string);
    }
    return { head: { status: 200, headers, bodyLength: 0 }, body: null };
  }
  const isTyped = headerValue(more, "content-type") !== undefined;
  const type = body.length === 0 || isTyped ? [] : ["content-type", "text/plain"];
  return {
    head: { status: reply.status, headers: [...type, ...more], bodyLength: body.length },
    body: body.length === 0 ? null : body,
  };
}
