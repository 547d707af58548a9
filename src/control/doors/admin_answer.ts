/** How the admin socket answers: little is asked of it at a time, and it says why it refuses. */
import type { Context } from "hono";
import { CitadelError, type CitadelErrorCode } from "../../citadel/citadel_error.ts";
import { JoinerError } from "../joiner.ts";
import { BodyError } from "./read_body.ts";

/** Of a request. */
export const REQUEST_BYTES_MAX = 16 * 1024;

/** What is no failure of the control plane's. */
const STATUSES: Readonly<Partial<Record<CitadelErrorCode, 400 | 409>>> = {
  request_invalid: 400,
  ca_expired: 409,
};

/** Runs a handler and turns what it throws into an answer. */
export async function adminAnswer(context: Context, handle: () => Promise<Response>): Promise<Response> {
  try {
    return await handle();
  } catch (error) {
    if (error instanceof BodyError || error instanceof JoinerError) {
      const status = error instanceof BodyError ? error.status : 400;
      return context.json({ error: { code: "request_invalid", message: error.message } }, status);
    }
    if (!(error instanceof CitadelError)) throw error;
    // Whoever reaches this socket may read the log as well.
    const status = STATUSES[error.code] ?? 500;
    return context.json({ error: { code: error.code, message: error.detail } }, status);
  }
}
