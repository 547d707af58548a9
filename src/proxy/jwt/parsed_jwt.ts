/** A token taken apart (RFC 7519), and what can be said against it before anybody looks at its signature. */
import { decodeJwtPart, isBase64url } from "../../lib/jwt_part.ts";
import type { JwtRule } from "../../model/jwt_rule.ts";
import { JWT_FAULT, type JwtFault } from "./jwt_fault.ts";
import type { Claims } from "./request_auth.ts";

/** By how much clocks may differ (Envoy's). */
const CLOCK_SKEW_SECONDS = 60;

/** Those of a public key. With a shared secret whoever knows the key could sign; with none anybody could. */
const ALGORITHMS: ReadonlySet<unknown> = new Set([
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
]);

/** What a token says, as far as every token has to say it in the same way. */
export interface ReadClaims {
  readonly claims: Claims;
  /** Seconds; Infinity: it says nothing. */
  readonly expiresAt: number;
  /** Seconds; 0: it says nothing. */
  readonly notBefore: number;
  readonly audiences: readonly string[];
}

export interface ParsedJwt extends ReadClaims {
  readonly alg: string;
  /** Null: it names none. */
  readonly kid: string | null;
  /** The payload as it stands in the token. */
  readonly payload: string;
}

export function parseJwt(token: string): ParsedJwt | JwtFault {
  const [head = "", payload = "", signature, ...rest] = token.split(".");
  if (signature === undefined || rest.length > 0) return JWT_FAULT.badForm;
  if (!isBase64url(signature)) return JWT_FAULT.badSignature;
  const header = decodeJwtPart(head);
  if (header === undefined) return JWT_FAULT.badHeader;
  const claims = decodeJwtPart(payload);
  if (claims === undefined) return JWT_FAULT.badPayload;
  const { alg, kid = null } = header;
  if (!ALGORITHMS.has(alg)) return JWT_FAULT.badAlgorithm;
  if (kid !== null && typeof kid !== "string") return JWT_FAULT.badKeyId;
  // An extension that has to be understood, and is not (RFC 7515 §4.1.11).
  if (header["crit"] !== undefined) return JWT_FAULT.critical;
  const read = readClaims(claims);
  return typeof read === "string" ? read : { ...read, alg: alg as string, kid, payload };
}

export function readClaims(claims: Claims): ReadClaims | JwtFault {
  const { exp = Infinity, nbf = 0, aud = [], sub = "" } = claims;
  const audiences = typeof aud === "string" ? [aud] : aud;
  if (!isTime(exp) || !isTime(nbf)) return JWT_FAULT.badTime;
  if (!Array.isArray(audiences) || !audiences.every(isText)) return JWT_FAULT.badAudience;
  if (!isText(sub)) return JWT_FAULT.badSubject;
  return { claims, expiresAt: exp, notBefore: nbf, audiences };
}

/** What is wrong with a token for a rule at a time in seconds; null: nothing but, perhaps, its signature. */
export function claimFault(
  { claims, audiences, expiresAt, notBefore }: ReadClaims,
  rule: JwtRule,
  nowSeconds: number,
): JwtFault | null {
  if (claims["iss"] !== rule.issuer) return JWT_FAULT.unknownIssuer;
  if (nowSeconds < notBefore - CLOCK_SKEW_SECONDS) return JWT_FAULT.notYetValid;
  if (nowSeconds > expiresAt + CLOCK_SKEW_SECONDS) return JWT_FAULT.expired;
  const allowed = rule.audiences.length === 0 || audiences.some((one) => rule.audiences.includes(one));
  return allowed ? null : JWT_FAULT.otherAudience;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
