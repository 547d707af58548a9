/** What a RequestAuthentication says, as a proxy is told. */
import type { ConfigResource } from "../config/resource.ts";
import type { JwtRuleSpec, RequestAuthenticationSpec } from "../config/schema/request_authentication.ts";
import type { JwtKeys, JwtRule } from "../model/jwt_rule.ts";

/** For the answer of a server that has keys (Istio). */
const KEYS_TIMEOUT_DEFAULT_MS = 5_000;

/** Where a token is looked for if nothing else is said (RFC 6750 §2). */
const AUTHORIZATION = [{ name: "authorization", prefix: "Bearer " }];
const ACCESS_TOKEN = ["access_token"];

export function jwtRulesOf(resource: ConfigResource<RequestAuthenticationSpec>): readonly JwtRule[] {
  const { namespace, name, spec } = resource;
  return spec.jwtRules.map((rule, index): JwtRule => {
    const { file, line } = resource.positionOf(["spec", "jwtRules", index]);
    const { fromHeaders, fromParams, fromCookies } = rule;
    const anywhere = fromHeaders.length + fromParams.length + fromCookies.length === 0;
    return {
      name: `${namespace}/${name}`,
      file,
      line,
      issuer: rule.issuer,
      audiences: rule.audiences,
      keys: keysOf(rule),
      headers: anywhere ? AUTHORIZATION : fromHeaders,
      params: anywhere ? ACCESS_TOKEN : fromParams,
      cookies: fromCookies,
      forwards: rule.forwardOriginalToken,
      payloadHeader: rule.outputPayloadToHeader,
      claimHeaders: rule.outputClaimToHeaders,
      spaceDelimited: rule.spaceDelimitedClaims,
      timeoutMs: rule.timeout ?? KEYS_TIMEOUT_DEFAULT_MS,
    };
  });
}

function keysOf({ jwks, jwksUri, jwks_uri: older }: JwtRuleSpec): JwtKeys {
  if (jwks !== null) return { type: "inline", jwks };
  const url = jwksUri ?? older;
  return url === null ? { type: "discovery" } : { type: "url", url };
}
