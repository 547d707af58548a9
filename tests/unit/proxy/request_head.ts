import type { RequestHead } from "../../../src/proxy/exchange.ts";

/** The plainest request, and what a test is about. */
export function requestHead(more: Partial<RequestHead> = {}): RequestHead {
  return { method: "GET", scheme: "http", authority: "a", path: "/", headers: [], bodyLength: 0, ...more };
}
