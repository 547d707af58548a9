/** What is spoken at a port. */

/** What is spoken to a workload that has no proxy before it: HTTP/1.1, or HTTP/2 without TLS and from the first byte on. */
export type HttpProtocol = "http1" | "http2";

/**
 * What the files say is spoken on a port: requests that are read and routed; bytes that are nobody's business; TLS, of
 * which only the server's name is read; or nothing, and the first bytes tell.
 */
export type PortProtocol = "http" | "tcp" | "tls" | "auto";
