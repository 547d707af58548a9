/** What ends a connection, or one stream of it (RFC 9113 §5.4): the code for the peer, and what to say in the log. */
import { ErrorCode } from "./frames.ts";

export class ConnectionError {
  constructor(readonly code: ErrorCode, readonly details: string) {}
}

export function protocolError(details: string): ConnectionError {
  return new ConnectionError(ErrorCode.ProtocolError, details);
}

export function frameSizeError(details: string): ConnectionError {
  return new ConnectionError(ErrorCode.FrameSizeError, details);
}

/** For a peer that keeps us busy without need. */
export function calm(details: string): ConnectionError {
  return new ConnectionError(ErrorCode.EnhanceYourCalm, details);
}
