/**
 * The paths of port 15012 that hand out certificates: each attempt is limited, judged, and told in the audit log before
 * its answer goes out. Refusals are opaque to the caller, precise in both logs.
 */
import type { Hono } from "hono";
import { isMap } from "../../lib/is_map.ts";
import { AttemptLimits } from "../../citadel/attempt_limits.ts";
import type { AuditEntry, AuditEvent, AuditLog } from "../../citadel/audit_log.ts";
import type { Citadel } from "../../citadel/citadel.ts";
import { CitadelError, platformTokenRefused } from "../../citadel/citadel_error.ts";
import type { Issued } from "../../citadel/issuer.ts";
import type { PlatformEnrolment } from "../../citadel/platform/platform_enrolment.ts";
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/message_of.ts";
import type { EnrolRequest, PlatformEnrolRequest, RejoinRequest } from "../../model/enrolment.ts";
import type { WorkloadKey } from "../../model/workload.ts";
import type { Log } from "../../telemetry/log.ts";
import { answer, type PeerEnvironment, peerRefused, type ProxyContext, refuse } from "./proxy_answers.ts";
import { BodyError, readJson } from "./read_body.ts";

/** A CSR and a token, with room to spare. */
export const ENROL_BYTES_MAX = 64 * 1024;

/** Hex of the longest serial number there is (RFC 5280 §4.1.2.2). */
const SERIAL_LENGTH_MAX = 40;

export interface CertificateApiOptions {
  readonly citadel: Citadel;
  readonly audit: AuditLog;
  /** Null: no platform vouches for anybody. */
  readonly platform: PlatformEnrolment | null;
  readonly clock: Clock;
  readonly log: Log;
  /** A certificate was issued: the workload has a sidecar from now on. */
  onEnrolled(workload: WorkloadKey): void;
}

/** One kind of request for a certificate. */
interface Door<Body> {
  readonly event: AuditEvent;
  /** Of the line in the log. */
  readonly message: string;
  /** Whose attempts are counted together. */
  readonly source: string;
  /** Throws BodyError. */
  read(body: Readonly<Record<string, unknown>>): Body;
  issue(request: Body): Promise<Issued>;
}

export function addCertificatePaths(app: Hono<PeerEnvironment>, options: CertificateApiOptions): void {
  const { citadel, platform, clock } = options;
  const limits = new AttemptLimits(clock);
  // Whoever proved who it is does not wait for those who prove nothing, from however many addresses they ask.
  const renewals = new AttemptLimits(clock);

  app.get("/v1/trust-bundle", (context) => context.json(citadel.trustBundle()));

  app.post("/v1/enrol", (context) => {
    const { address } = context.env;
    return pass<EnrolRequest | PlatformEnrolRequest>(context, options, limits, {
      event: "enrol",
      message: "Enrolled a workload",
      source: address,
      read: (body) => "platformToken" in body ? readPlatformRequest(body) : readEnrolRequest(body),
      issue(request) {
        if (!("platformToken" in request)) return citadel.enrol(request, address);
        if (platform !== null) return platform.enrol(request);
        throw platformTokenRefused("token_invalid", "No platform vouches for anybody; see run --enrolment");
      },
    });
  });

  app.post("/v1/rejoin", (context) =>
    pass(context, options, limits, {
      event: "rejoin",
      message: "Took a workload in again whose certificate had expired",
      source: context.env.address,
      read: readRejoinRequest,
      issue: (request) => citadel.rejoin(request),
    }));

  app.post("/v1/renew", (context) => {
    const { address, spiffeId, serial } = context.env;
    const workload = context.req.query("workload");
    const isRevoked = () => serial !== null && citadel.isRevoked(serial);
    const renew = { event: "renew", message: "Renewed a certificate", read: readEnrolRequest } as const;
    if (spiffeId === null || isRevoked()) {
      // Counted as a stranger: he must not use up the attempts of whom he was.
      const issue = () => Promise.reject(peerRefused(context.env));
      // Nor is he told what a request should look like.
      const read = () => null;
      return pass(context, options, limits, { ...renew, read, source: address, issue });
    }
    return pass(context, options, renewals, {
      ...renew,
      // Names that it makes up have no attempts of their own.
      source: `${spiffeId} ${
        workload !== undefined && citadel.isEnrolledAs(workload, spiffeId) ? workload : ""
      }`,
      async issue(request) {
        const issued = await citadel.renew(spiffeId, workload, request);
        // It may have been revoked meanwhile: then the new certificate goes to nobody.
        if (isRevoked()) throw peerRefused(context.env);
        return issued;
      },
    });
  });
}

function pass<Body>(
  context: ProxyContext,
  { audit, log, onEnrolled }: CertificateApiOptions,
  limits: AttemptLimits,
  door: Door<Body>,
): Promise<Response> {
  const { address, spiffeId, serial } = context.env;
  const { event, message, source } = door;
  const caller = { event, address, ...(serial === null ? {} : { by: `certificate ${serial}` }) };
  return answer(context, log, async () => {
    const attempt = limits.take(source);
    if (!attempt.allowed) {
      if (attempt.isFirst) {
        log.warn("Too many requests for certificates", { event, address, spiffeId });
        await audit.append({ ...caller, outcome: "too_many_attempts", spiffeId });
      }
      context.header("retry-after", String(attempt.retryAfterS));
      return refuse(context, 429, "too_many_attempts", "Too many attempts; try again later");
    }
    let issued: Issued;
    try {
      const body = await readJson(context.req.raw, ENROL_BYTES_MAX);
      issued = await door.issue(door.read(isMap(body) ? body : {}));
    } catch (error) {
      await audit.append({ ...caller, ...refusalOf(error), spiffeId });
      throw error;
    }
    const { reply, workload, by, notAfterMs } = issued;
    if (issued.usesUp) attempt.giveBack();
    const told = { workload, spiffeId: reply.spiffeId, serial: issued.serial };
    // Before it goes out, as in the issuance log.
    try {
      await audit.append({ ...caller, ...(by === null ? {} : { by }), outcome: "issued", ...told });
    } catch (error) {
      await issued.giveBack();
      throw error;
    }
    onEnrolled(workload);
    log.info(message, { ...told, notAfter: new Date(notAfterMs).toISOString(), address });
    return context.json(reply);
  });
}

function refusalOf(error: unknown): Pick<AuditEntry, "outcome" | "detail"> {
  if (error instanceof CitadelError) return { outcome: error.code, detail: error.detail };
  const detail = messageOf(error);
  return { outcome: error instanceof BodyError ? "request_invalid" : "internal", detail };
}

function readEnrolRequest({ token, csr }: Readonly<Record<string, unknown>>): EnrolRequest {
  if (typeof csr !== "string" || (token !== undefined && typeof token !== "string")) {
    throw new BodyError(400, "The body needs a csr, and a token to enrol");
  }
  return token === undefined ? { csr } : { csr, token };
}

function readPlatformRequest(
  { platformToken, csr }: Readonly<Record<string, unknown>>,
): PlatformEnrolRequest {
  if (typeof csr !== "string" || typeof platformToken !== "string") {
    throw new BodyError(400, "The body needs a csr and a platformToken");
  }
  return { platformToken, csr };
}

function readRejoinRequest({ serial, csr }: Readonly<Record<string, unknown>>): RejoinRequest {
  if (typeof csr !== "string" || typeof serial !== "string" || serial.length > SERIAL_LENGTH_MAX) {
    throw new BodyError(
      400,
      "The body needs a csr, and the serial number of the certificate that has expired",
    );
  }
  return { csr, serial };
}
