/** How the control plane says no, in the body of its answer. */
import type { ErrorReply } from "../model/enrolment.ts";

/** What the control plane says with a status that is no success. */
export function refusalOf(body: unknown): ErrorReply["error"] {
  const { code = "refused", message = "no reason given" } = (body as Partial<ErrorReply> | null)?.error ?? {};
  return { code, message };
}
