/** What ends a connection, or one stream of it (RFC 9113 §5.4): the code for the peer, and what to say in the log. */
import type { ErrorCode } from "./frames.ts";

export class ConnectionError {
  constructor(readonly code: ErrorCode, readonly details: string) {}
}
