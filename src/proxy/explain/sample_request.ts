/**
 * Requests made up to try routes with: for each condition that a rule names, one that meets it. Of regular expressions
 * only those are met that are a text with `.*` around or in it, which most are.
 */
import { claimKeys, isClaimName } from "../../model/claim_name.ts";
import { type NamedMatch, NO_CONDITIONS, type RouteMatch, type StringMatch } from "../../model/route.ts";
import type { VirtualHost } from "../../model/snapshot.ts";
import type { RequestHead } from "../exchange.ts";
import { type Claims, requestAuthOf } from "../jwt/request_auth.ts";
import { compileStringMatch } from "../route/string_matcher.ts";

/** What a header or parameter has that only needs to be there. */
const ANY_VALUE = "x";

/** A plain request, and one for each alternative of each rule for which one can be made up. */
export function sampleRequests({ domains, routes }: VirtualHost): RequestHead[] {
  const authority = (domains[0] ?? "").replace(/^\*/, ANY_VALUE);
  const alternatives = [NO_CONDITIONS, ...routes.flatMap(({ matches }) => matches)];
  return alternatives.map((match) => sampleOf(match, authority)).filter((head) => head !== null);
}

function sampleOf(match: RouteMatch, authority: string): RequestHead | null {
  const path = sample(match.path, "/");
  const method = sample(match.method, "GET");
  const scheme = sample(match.scheme, "http");
  const host = sample(match.authority, authority);
  const headers = named(match.headers);
  const query = named(match.queryParams);
  if (path === null || method === null || scheme === null || host === null) return null;
  if (headers === null || query === null) return null;
  const claims = claimsOf(headers);
  const search = query.map(([name, value]) => `${name}=${value}`).join("&");
  return {
    method,
    scheme,
    authority: host,
    path: search === "" ? path : `${path}?${search}`,
    headers: headers.filter(([name]) => !isClaimName(name)).flat(),
    bodyLength: 0,
    ...(claims === null ? {} : { auth: requestAuthOf(claims, []) }),
  };
}

function named(matches: readonly NamedMatch[]): [name: string, value: string][] | null {
  const fields: [string, string][] = [];
  for (const { name, match } of matches) {
    const value = sample(match, ANY_VALUE);
    if (value === null) return null;
    fields.push([name, value]);
  }
  return fields;
}

/** What a token has to say; null: nothing. */
function claimsOf(fields: readonly (readonly [name: string, value: string])[]): Claims | null {
  // Nothing by nature, so that no key of a claim is more than a key.
  const map = (): Record<string, unknown> => Object.create(null);
  let claims: Record<string, unknown> | null = null;
  for (const [name, value] of fields) {
    const keys = claimKeys(name);
    if (keys === null) continue;
    claims ??= map();
    let within = claims;
    for (const key of keys.slice(0, -1)) within = (within[key] ??= map()) as Record<string, unknown>;
    within[keys.at(-1) as string] = value;
  }
  return claims;
}

/** Null: nothing can be made up. */
function sample(match: StringMatch | null, otherwise: string): string | null {
  if (match === null || match.type === "present") return otherwise;
  if (match.type !== "regex") return match.value;
  const text = match.value.replaceAll(".*", "").replaceAll("\\", "");
  return compileStringMatch(match).holds(text) ? text : null;
}
