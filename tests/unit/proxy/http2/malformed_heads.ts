/** Header lists that no request may have (RFC 9113 §8), most of which would mean something else in HTTP/1. */
import { get, post } from "./raw_frames.ts";

const PSEUDO = { ":method": "GET", ":scheme": "http", ":authority": "a", ":path": "/" };

/** The pseudo-header fields of a GET with some other, or without (null). */
export function pseudo(change: Record<string, string | null>): string[] {
  return Object.entries({ ...PSEUDO, ...change }).flatMap(([name, value]) =>
    value === null ? [] : [name, value]
  );
}

export const MALFORMED_HEADS: readonly (readonly [string, string[]])[] = [
  ["§8.2.1: a name in upper case", get("X-A", "b")],
  ["§8.2.1: an empty name", get("", "b")],
  ["§8.2.1: a colon inside a name", get("a:b", "c")],
  ["§8.2.1: a space inside a name", get("a b", "c")],
  ["§8.2.1: NUL in a value", get("a", "b\0c")],
  ["§8.2.1: CR in a value", get("a", "b\rc")],
  ["§8.2.1: LF in a value", get("a", "b\nx: c")],
  ["§8.2.1: a space before a value", get("a", " b")],
  ["§8.2.1: a tab after a value", get("a", "b\t")],
  ["§8.2.2: connection", get("connection", "x")],
  ["§8.2.2: proxy-connection", get("proxy-connection", "keep-alive")],
  ["§8.2.2: keep-alive", get("keep-alive", "timeout=5")],
  ["§8.2.2: transfer-encoding", post("transfer-encoding", "chunked")],
  ["§8.2.2: upgrade", get("upgrade", "h2c")],
  ["§8.2.2: te with anything but trailers", get("te", "gzip")],
  ["§8.3: an unknown pseudo-header field", get(":x", "y").slice(-2).concat(get())],
  ["§8.3: a pseudo-header field of responses", [":status", "200", ...get()]],
  ["§8.3: a pseudo-header field after a regular one", ["a", "b", ...get()]],
  ["§8.3.1: two paths", [...get(), ":path", "/"]],
  ["§8.3.1: no method", pseudo({ ":method": null })],
  ["§8.3.1: no scheme", pseudo({ ":scheme": null })],
  ["§8.3.1: no path", pseudo({ ":path": null })],
  ["§8.3.1: an empty path", pseudo({ ":path": "" })],
  ["§8.3.1: a path without its slash", pseudo({ ":path": "a" })],
  ["§8.3.1: * for anything but OPTIONS", pseudo({ ":path": "*" })],
  ["a space in the path, which would cut an HTTP/1 request line", pseudo({ ":path": "/ HTTP/1.1" })],
  ["CR LF in the path", pseudo({ ":path": "/\r\nx: y" })],
  ["a fragment in the path", pseudo({ ":path": "/a#b" })],
  ["a space in the method", pseudo({ ":method": "GET /x" })],
  ["an empty method", pseudo({ ":method": "" })],
  ["a scheme that is not ours", pseudo({ ":scheme": "ftp" })],
  ["§8.3.1: userinfo in the authority", pseudo({ ":authority": "me@a" })],
  ["an escape in the authority", pseudo({ ":authority": "a%2eb" })],
  ["a slash in the authority", pseudo({ ":authority": "a/b" })],
  ["§8.3.1: another host than authority", get("host", "b")],
  ["two hosts", pseudo({ ":authority": null }).concat("host", "a", "host", "a")],
  ["§8.5: CONNECT with a path", pseudo({ ":method": "CONNECT", ":scheme": null, ":authority": "a:1" })],
  ["§8.5: CONNECT with a scheme", pseudo({ ":method": "CONNECT", ":path": null, ":authority": "a:1" })],
  ["§8.5: CONNECT without a port", pseudo({ ":method": "CONNECT", ":path": null, ":scheme": null })],
  ["§8.5: CONNECT without an authority", [":method", "CONNECT"]],
  ["two different content-lengths", post("content-length", "1", "content-length", "2")],
  ["a content-length with a sign", post("content-length", "+1")],
  ["a content-length list", post("content-length", "1, 1")],
];
