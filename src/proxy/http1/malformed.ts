/** A message that breaks RFC 9112 or a limit: the status for a client, and what to say in the log. */
export class Malformed {
  constructor(
    /** For a request: 400, 408, 414, 431, 501 or 505. For a response the cause is the upstream's: 502. */
    readonly status: number,
    /** Envoy's style of detail: `http1.unexpected_underscore`. */
    readonly details: string,
    /** Whoever sent it speaks no HTTP, and would not understand an answer in it. */
    readonly unanswered = false,
  ) {}
}

export const MALFORMED = {
  requestLine: new Malformed(400, "http1.invalid_request_line"),
  foreign: new Malformed(400, "http1.another_protocol", true),
  version: new Malformed(505, "http1.unsupported_version"),
  statusLine: new Malformed(502, "http1.invalid_status_line"),
  target: new Malformed(400, "http1.invalid_url"),
  host: new Malformed(400, "http1.invalid_host"),
  fieldName: new Malformed(400, "http1.invalid_field_name"),
  fieldValue: new Malformed(400, "http1.invalid_field_value"),
  bareLineFeed: new Malformed(400, "http1.bare_line_feed"),
  contentLength: new Malformed(400, "http1.invalid_content_length"),
  bothLengths: new Malformed(400, "http1.content_length_with_transfer_encoding"),
  transferEncoding: new Malformed(400, "http1.invalid_transfer_encoding"),
  transferCoding: new Malformed(501, "http1.unknown_transfer_coding"),
  chunk: new Malformed(400, "http1.invalid_chunk"),
  headTooLarge: new Malformed(431, "http1.head_too_large"),
  tooManyFields: new Malformed(431, "http1.too_many_fields"),
  lineTooLong: new Malformed(414, "http1.request_line_too_long"),
  headTimeout: new Malformed(408, "http1.head_timeout"),
  bodyTimeout: new Malformed(408, "http1.body_timeout"),
} as const;

/** `line` begins a request line that is too long: if not even its method ends there, it is none. */
export function lineTooLong(line: string): Malformed {
  return line.includes(" ") ? MALFORMED.lineTooLong : MALFORMED.requestLine;
}
