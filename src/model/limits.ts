/**
 * The limits of a proxy that whoever runs it may change, with `--limit NAME=VALUE`: the one place where they and their
 * defaults stand. All others are constants beside the code that keeps them.
 */
import { formatDuration } from "../lib/duration.ts";

/** What a value counts; `ms` is written as a duration, `bytes` with KiB and the like. */
export type LimitUnit = "ms" | "bytes" | "count";

export interface Limit {
  /** As the command line has it. */
  readonly name: string;
  readonly unit: LimitUnit;
  readonly default: number;
  /** Both are allowed. */
  readonly least: number;
  readonly most: number;
  /** What it bounds, and what becomes of what is above. */
  readonly what: string;
  /** What 0 means where it is more than none. */
  readonly zero?: string;
  /** Envoy's name for it, or Istio's; null: it has none that can be set. */
  readonly envoy: string | null;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** By the field that the code reads. The order is that of help and README. */
export const LIMITS = {
  requestHeaderBytes: {
    name: "request-header-bytes",
    unit: "bytes",
    default: 60 * KIB,
    least: KIB,
    most: 512 * KIB,
    what: "head of a request; above: 431",
    envoy: "max_request_headers_kb",
  },
  requestHeaderCount: {
    name: "request-headers",
    unit: "count",
    default: 100,
    least: 10,
    most: 10_000,
    what: "fields of a request; above: 431",
    envoy: "max_headers_count",
  },
  responseHeaderBytes: {
    name: "response-header-bytes",
    unit: "bytes",
    default: 60 * KIB,
    least: KIB,
    most: 512 * KIB,
    what: "head of a response; above: 502",
    envoy: "max_response_headers_kb",
  },
  responseHeaderCount: {
    name: "response-headers",
    unit: "count",
    default: 100,
    least: 10,
    most: 10_000,
    what: "fields of a response; above: 502",
    envoy: "max_headers_count",
  },
  requestHeadersMs: {
    name: "request-headers-timeout",
    unit: "ms",
    default: 10 * SECOND,
    least: 100,
    most: HOUR,
    what: "from the first byte of a head to its last; then 408",
    envoy: "request_headers_timeout",
  },
  requestBodyRateBytes: {
    name: "request-body-rate",
    unit: "bytes",
    default: 1_000,
    least: 0,
    most: MIB,
    what: "that a body with a Content-Length brings in each 10 seconds; below: 408",
    zero: "off",
    envoy: null,
  },
  tlsHandshakeMs: {
    name: "tls-handshake-timeout",
    unit: "ms",
    default: 10 * SECOND,
    least: 100,
    most: 10 * MINUTE,
    what: "for a caller's TLS handshake; then closed",
    envoy: "transport_socket_connect_timeout",
  },
  detectionMs: {
    name: "detection-timeout",
    unit: "ms",
    default: 5 * SECOND,
    least: 100,
    most: HOUR,
    what: "captured, undeclared, and the client says nothing; then its bytes go on as TCP",
    envoy: "protocolDetectionTimeout",
  },
  connectionIdleMs: {
    name: "connection-idle-timeout",
    unit: "ms",
    default: HOUR,
    least: SECOND,
    most: 7 * 24 * HOUR,
    what: "connection without a request; then closed",
    envoy: "idle_timeout",
  },
  streamIdleMs: {
    name: "stream-idle-timeout",
    unit: "ms",
    default: 5 * MINUTE,
    least: 100,
    most: 7 * 24 * HOUR,
    what: "request in which nothing moves; then broken off",
    envoy: "stream_idle_timeout",
  },
  tunnelIdleMs: {
    name: "tcp-idle-timeout",
    unit: "ms",
    default: HOUR,
    least: SECOND,
    most: 7 * 24 * HOUR,
    what: "TCP, CONNECT or WebSocket in which nothing moves; then reset",
    envoy: "tcp_proxy.idle_timeout",
  },
  http2Streams: {
    name: "http2-streams",
    unit: "count",
    default: 100,
    least: 1,
    most: 1_000,
    what: "requests at once on an HTTP/2 connection of a caller; above: REFUSED_STREAM",
    envoy: "max_concurrent_streams",
  },
  http2StreamWindowBytes: {
    name: "http2-stream-window",
    unit: "bytes",
    default: 64 * KIB,
    // What a peer may send before it has heard of another.
    least: 65_535,
    most: 16 * MIB,
    what: "of a stream that may be on their way to us unread",
    envoy: "initial_stream_window_size",
  },
  http2StreamBufferBytes: {
    name: "http2-stream-buffer",
    unit: "bytes",
    default: 256 * KIB,
    least: 65_535,
    most: 64 * MIB,
    what:
      "what the window of a stream that is read grows to, as long as the connection's window has so much to give",
    envoy: null,
  },
  http2ConnectionWindowBytes: {
    name: "http2-connection-window",
    unit: "bytes",
    default: MIB,
    least: 65_535,
    most: 256 * MIB,
    what: "of a connection on their way to us, and what all its streams' windows grow by together",
    envoy: "initial_connection_window_size",
  },
  keepaliveIntervalMs: {
    name: "keepalive-interval",
    unit: "ms",
    default: 2 * SECOND,
    least: SECOND,
    most: HOUR,
    what: "silence of another sidecar on which requests wait; then it is sent a PING",
    envoy: "connection_keepalive.interval",
  },
  keepaliveTimeoutMs: {
    name: "keepalive-timeout",
    unit: "ms",
    default: 10 * SECOND,
    least: 100,
    most: HOUR,
    what: "for the answer to that; then the connection is given up",
    envoy: "connection_keepalive.timeout",
  },
  connections: {
    name: "connections",
    unit: "count",
    default: 0,
    least: 0,
    most: 10_000_000,
    what: "connections from clients, per worker; above: 503, or closed in TLS",
    zero: "0.4 of the open files that a process may have (`LimitNOFILE`)",
    envoy: "global_downstream_max_connections",
  },
  requestsInFlight: {
    name: "requests-in-flight",
    unit: "count",
    default: 100_000,
    least: 1,
    most: 10_000_000,
    what: "requests at once, per worker; above: 503",
    envoy: "max_requests",
  },
  replayBytes: {
    name: "retry-buffer",
    unit: "bytes",
    default: 256 * KIB,
    least: 0,
    most: 64 * MIB,
    what: "of a body that are kept for another attempt; a larger one is sent once",
    envoy: "per_request_buffer_limit_bytes",
  },
  replayTotalBytes: {
    name: "retry-buffers",
    unit: "bytes",
    default: 64 * MIB,
    least: 0,
    most: 16 * KIB * MIB,
    what: "the same of all bodies together, per worker",
    envoy: null,
  },
  drainMs: {
    name: "drain-time",
    unit: "ms",
    default: 30 * SECOND,
    least: 0,
    most: HOUR,
    what: "for what is in flight at a SIGTERM, or at a port that a gateway has no more; then cut off",
    envoy: "terminationDrainDuration",
  },
} as const satisfies Record<string, Limit>;

export type LimitKey = keyof typeof LIMITS;

/** A value for each; milliseconds and bytes where the field says so. */
export type Limits = Readonly<Record<LimitKey, number>>;

export const LIMIT_KEYS = Object.keys(LIMITS) as LimitKey[];

export const DEFAULT_LIMITS: Limits = Object.freeze(
  Object.fromEntries(LIMIT_KEYS.map((key) => [key, LIMITS[key].default])) as Record<LimitKey, number>,
);

/** Units of bytes, from the largest on. */
const SIZES: readonly (readonly [string, number])[] = [["MiB", MIB], ["KiB", KIB]];

/** A value as somebody would write it: `10s`, `60KiB`, `100`. */
export function formatLimit(value: number, { unit, zero }: Limit): string {
  if (value === 0 && zero !== undefined) return zero;
  if (unit === "count") return value.toLocaleString("en");
  if (unit === "ms") return formatDuration(value);
  const [suffix, size] = SIZES.find(([, size]) => value > 0 && value % size === 0) ?? ["B", 1];
  return `${value / size}${suffix}`;
}
