/** What port 15012 answers when it does not do what it was asked: little for the caller, everything for the log. */
import type { Context } from "hono";
import { CitadelError, type CitadelErrorCode } from "../../citadel/citadel_error.ts";
import { messageOf } from "../../lib/message_of.ts";
import type { ErrorReply } from "../../model/enrolment.ts";
import { ReportError } from "../../mixer/report_validation.ts";
import { PrivateFileError } from "../../runtime/private_files.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Peer } from "./fetch_bridge.ts";
import { BodyError } from "./read_body.ts";

/** Refusals that another attempt may not meet. */
const PASSING: ReadonlySet<CitadelErrorCode> = new Set(["storage_failed", "keys_unavailable", "ca_expired"]);

/** The peer is passed as the app's bindings. */
export type PeerEnvironment = { Bindings: Peer };
export type ProxyContext = Context<PeerEnvironment>;

export function refuse(
  context: ProxyContext,
  status: 400 | 401 | 403 | 404 | 413 | 429 | 500 | 503,
  code: string,
  message: string,
): Response {
  return context.json<ErrorReply>({ error: { code, message } }, status);
}

/** For what needs a certificate that holds. */
export function refusePeer(context: ProxyContext): Response {
  const { code, message } = peerRefused(context.env);
  return refuse(context, statusOf(code), code, message);
}

/** Why a peer is refused that has no certificate that holds. */
export function peerRefused({ spiffeId, serial }: Peer): CitadelError {
  return spiffeId === null
    ? new CitadelError("certificate_required", "A workload certificate is needed")
    : new CitadelError(
      "certificate_revoked",
      "The certificate was revoked; join with a new token, and without the identity.json of before",
      `The certificate ${serial} was revoked`,
    );
}

/** Runs a handler and turns what it throws into an answer; anything unexpected is logged and says nothing outside. */
export async function answer(
  context: ProxyContext,
  log: Log,
  handle: () => Promise<Response>,
): Promise<Response> {
  const { address, spiffeId } = context.env;
  try {
    return await handle();
  } catch (error) {
    if (error instanceof BodyError) return refuse(context, error.status, "request_invalid", error.message);
    if (error instanceof ReportError) return refuse(context, 400, "report_invalid", error.message);
    if (error instanceof CitadelError) {
      const { code, detail } = error;
      log.warn("Refused a request for a certificate", { code, detail, address, spiffeId });
      return refuse(context, statusOf(code), code, error.message);
    }
    log.error("A request failed", { path: context.req.path, address, reason: messageOf(error) });
    if (error instanceof PrivateFileError) {
      return refuse(context, 503, "storage_failed", "The control plane cannot do this at the moment");
    }
    return refuse(context, 500, "internal", "Internal error");
  }
}

function statusOf(code: CitadelErrorCode): 401 | 403 | 503 {
  if (code === "certificate_required") return 401;
  return PASSING.has(code) ? 503 : 403;
}
