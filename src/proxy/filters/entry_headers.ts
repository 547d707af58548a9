/** Gives a request the headers that it needs from where it enters the mesh on, and leaves those alone that it has. */
import type { Random } from "../../lib/prng.ts";
import { isTraceparent, newRequestId, newTraceparent } from "../../telemetry/trace_context.ts";
import type { RequestHead } from "../exchange.ts";

const X = 0x78;
const T = 0x74;

/**
 * Adds `x-request-id`, `traceparent` and `x-forwarded-proto` (the scheme in which the client spoke) when they are missing;
 * a traceparent that is none is replaced.
 */
export function ensureEntryHeaders({ headers, scheme }: RequestHead, random: Random): void {
  let requestId = false;
  let proto = false;
  let trace = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const first = name.charCodeAt(0);
    if (first === X && name === "x-request-id") {
      requestId = true;
    } else if (first === X && name === "x-forwarded-proto") {
      proto = true;
    } else if (first === T && name === "traceparent") {
      trace = true;
      if (!isTraceparent(headers[i + 1] as string)) headers[i + 1] = newTraceparent(random);
    }
  }
  if (!requestId) headers.push("x-request-id", newRequestId(random));
  if (!proto) headers.push("x-forwarded-proto", scheme);
  if (!trace) headers.push("traceparent", newTraceparent(random));
}
