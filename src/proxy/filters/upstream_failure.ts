/** What an attempt that came to no answer means: whether the request was merely lost, and what the client is told. */
import type { RequestHead, ResetReason } from "../exchange.ts";
import { LOCAL_REPLY, type LocalReply } from "../local_reply.ts";
import type { AttemptFailure } from "../route/retry_policy.ts";

/** RFC 9110 §9.2.2: sending it twice is as good as once. */
export const IDEMPOTENT_METHODS: ReadonlySet<string> = new Set([
  ...["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"],
]);

/**
 * Whether a request was lost with a connection that was kept alive and closed in silence: it may have been delivered all
 * the same, so that only what is idempotent is sent again.
 */
export function lostOnKeptConnection(
  { method }: RequestHead,
  failure: AttemptFailure,
  processed: boolean,
): boolean {
  return failure === "closed" && !processed && IDEMPOTENT_METHODS.has(method);
}

/** The answer of the proxy in place of the upstream's. */
export function replyTo(reason: ResetReason): LocalReply {
  switch (reason) {
    case "closed":
      return LOCAL_REPLY.upstreamClosed;
    case "refused":
      return LOCAL_REPLY.upstreamRefused;
    case "protocol-error":
      return LOCAL_REPLY.upstreamProtocolError;
    case "timeout":
      return LOCAL_REPLY.upstreamTimeout;
    default:
      return LOCAL_REPLY.connectFailure;
  }
}
