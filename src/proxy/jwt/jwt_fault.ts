/** Why a token is refused, in Envoy's words where Envoy has any: clients and dashboards know them. */

export const JWT_FAULT = {
  badForm: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
  badHeader: "Jwt header is an invalid JSON",
  badPayload: "Jwt payload is an invalid JSON",
  badSignature: "Jwt signature is an invalid Base64url encoded",
  badAlgorithm: "Jwt header [alg] is not supported",
  badKeyId: "Jwt header [kid] field is not a string",
  critical: "Jwt header [crit] is not supported",
  badTime: "Jwt payload [exp] or [nbf] field is not a number of seconds",
  badAudience: "Jwt payload [aud] field is not a string or a list of strings",
  badSubject: "Jwt payload [sub] field is not a string",
  tooLarge: "Jwt is too large",
  tooMany: "Too many Jwts in one request",
  unknownIssuer: "Jwt issuer is not configured",
  notYetValid: "Jwt not yet valid",
  expired: "Jwt is expired",
  otherAudience: "Audiences in Jwt are not allowed",
  noKeys: "Jwks remote fetch is failed",
  noKey: "Jwks doesn't have key to match kid or alg from Jwt",
  wrongSignature: "Jwt verification fails",
  /** Not the token's fault. */
  overload: "too many tokens are being verified",
} as const;

export type JwtFault = typeof JWT_FAULT[keyof typeof JWT_FAULT];
