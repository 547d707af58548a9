/** Reads a join token in the open: the joiner cannot verify it, and needs only to know where to go and whom to trust there. */
import { decodeJwtPart } from "../lib/jwt_part.ts";
import { isPort } from "../model/ports.ts";
import type { JoinTokenClaims } from "../model/enrolment.ts";
import { parseSpiffeId } from "../model/spiffe_id.ts";
import { parseWorkloadKey } from "../model/workload.ts";
import { Network } from "../lib/ip.ts";
import { IdentityError } from "./identity_error.ts";
import { isPin } from "./trust_bundle.ts";

/** Longest token that is read, in characters, on either side. */
export const JOIN_TOKEN_CHARACTERS_MAX = 4096;

/** Networks that a token may be bound to. */
export const TOKEN_SOURCES_MAX = 16;

const HOST_PORT = /^(\[[0-9a-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})$/;

/**
 * The claims of a token, unverified; white space around it is ignored. `source` names in errors where it came from, such
 * as `the token file join.token`. Throws IdentityError `join_token_malformed`, whose message does not hold the token.
 */
export function readJoinToken(text: string, source: string): JoinTokenClaims {
  const token = text.trim();
  if (token === "") throw malformed(source, "it is empty");
  if (token.length > JOIN_TOKEN_CHARACTERS_MAX) {
    throw malformed(source, `it is longer than ${JOIN_TOKEN_CHARACTERS_MAX} characters`);
  }
  const [, payload, ...rest] = token.split(".");
  if (payload === undefined || rest.length !== 1) {
    throw malformed(source, "a token has three parts between dots");
  }
  const claims = decodeJwtPart(payload);
  if (claims === undefined) throw malformed(source, "its second part is not JSON in base64url");
  const wrong = findWrongClaim(claims);
  if (wrong !== undefined) throw malformed(source, `its ${wrong} is missing or not of the right form`);
  return claims as unknown as JoinTokenClaims;
}

/** The name of the first claim that is missing or wrong; undefined when all are as they should be. */
export function findWrongClaim(claims: Readonly<Record<string, unknown>>): keyof JoinTokenClaims | undefined {
  for (const [name, fits] of Object.entries(CLAIMS)) {
    if (!fits(claims[name])) return name as keyof JoinTokenClaims;
  }
  return undefined;
}

const CLAIMS: Readonly<Record<keyof JoinTokenClaims, (value: unknown) => boolean>> = {
  jti: (value) => typeof value === "string" && /^[A-Za-z0-9_-]{16,64}$/.test(value),
  workload: (value) => typeof value === "string" && parseWorkloadKey(value) !== undefined,
  group: (value) =>
    value === undefined || (typeof value === "string" && parseWorkloadKey(value) !== undefined),
  sub: (value) => typeof value === "string" && parseSpiffeId(value) !== undefined,
  controlPlane: (value) => typeof value === "string" && isHostPort(value),
  caPin: (value) => typeof value === "string" && isPin(value),
  source: (value) => value === undefined || isTokenSource(value),
  iat: isSeconds,
  exp: isSeconds,
};

/** `HOST:PORT`, `1.2.3.4:PORT` or `[ADDRESS]:PORT`. */
export function isHostPort(text: string): boolean {
  const port = Number(HOST_PORT.exec(text)?.[2] ?? 0);
  return isPort(port);
}

/** Networks, few enough. */
export function isTokenSource(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.length <= TOKEN_SOURCES_MAX &&
    value.every((network) => typeof network === "string" && Network.parse(network) !== null);
}

function isSeconds(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function malformed(source: string, why: string): IdentityError {
  return new IdentityError(
    "join_token_malformed",
    `${source.charAt(0).toUpperCase()}${
      source.slice(1)
    } does not hold a join token: ${why}; make one with "bowline token create"`,
  );
}
