/** Limits of the HTTP/1 codec beside those that can be set (model/limits.ts), and what a message above them is answered with. */

/** Bytes of a request line; above: 414. */
export const REQUEST_LINE_BYTES_MAX = 16 * 1024;
/** Fields of a trailer section. */
export const TRAILER_FIELDS_MAX = 100;
/** Bytes of a chunk's size line, with extensions, without its end (RFC 9112 §7.1.1 asks for a limit). */
export const CHUNK_LINE_BYTES_MAX = 256;
/** Bytes of a trailer section. */
export const TRAILER_BYTES_MAX = 8 * 1024;
/**
 * A body whose length was announced must come at `requestBodyRateBytes` in each such time, until it is answered; else
 * 408. One in chunks may be a stream that has nothing to say for a while, and has the time of any exchange.
 */
export const BODY_TIMEOUT_MS = 10_000;
/** Bytes of pipelined requests that are kept while one is answered. */
export const PIPELINE_BYTES_MAX = 64 * 1024;
/** After the last response the peer gets this long to read it and close (RFC 9112 §9.6). */
export const LINGER_MS = 5_000;
/** The rest of a request whose response came first is read and thrown away up to this; before more, `connection: close`. */
export const DISCARD_BYTES_MAX = 64 * 1024;
/** An idle connection stays open for this long in a drain: a request that is on its way is still answered, with close. */
export const DRAIN_IDLE_MS = 500;
/**
 * A client that ended its half behind its request has this long to be answered, then it counts as gone. Its FIN may mean
 * either (`nc -N` and some health checks wait, who gave up does not), and only the first byte of an answer tells: Envoy
 * and nginx break off at once, haproxy and node wait on.
 */
export const HALF_CLOSED_MS = 5_000;
