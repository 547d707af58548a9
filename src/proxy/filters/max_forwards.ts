/** How many more proxies a request about the way itself may pass (RFC 9110 §7.6.2). */
import type { RequestHead } from "../exchange.ts";
import { LOCAL_REPLY, type LocalReply } from "../local_reply.ts";
import { readContentLength } from "../message_syntax.ts";

/** Counts this proxy off. Returns the answer of the last one that it may reach, if this is it. */
export function spendForward({ method, headers }: RequestHead): LocalReply | null {
  if (method !== "OPTIONS" && method !== "TRACE") return null;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== "max-forwards") continue;
    const left = readContentLength(headers[i + 1] as string);
    if (left === 0) return method === "OPTIONS" ? LOCAL_REPLY.optionsOfProxy : LOCAL_REPLY.traceOfProxy;
    // What is no number says nothing.
    if (left > 0) headers[i + 1] = String(left - 1);
  }
  return null;
}
