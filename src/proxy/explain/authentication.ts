/**
 * Which rules about tokens a request meets, and what a token would count for. Nothing is verified here, where no keys are:
 * whoever asks says what the token holds, and it is taken for good.
 */
import type { JwtRule } from "../../model/jwt_rule.ts";
import type { ProxySettings } from "../../model/snapshot.ts";
import type { RequestHead } from "../exchange.ts";
import { JWT_FAULT, type JwtFault } from "../jwt/jwt_fault.ts";
import { claimFault, type ReadClaims, readClaims } from "../jwt/parsed_jwt.ts";
import { type Claims, requestAuthOf } from "../jwt/request_auth.ts";
import { telling } from "../jwt/token_check.ts";
import { TokenPlaces } from "../jwt/token_places.ts";
import type { Receiver } from "./receiver.ts";
import type { ExplainedAuthentication, ExplainedDestination } from "./explanation.ts";
import type { ExplainRequest } from "./request.ts";

/** What one proxy makes of the token. */
export interface TokenAt {
  readonly head: RequestHead;
  /** The token goes on with the request. */
  readonly forwarded: boolean;
  /** Null: no rule selects the workload. */
  readonly explained: ExplainedAuthentication | null;
}

/** `claims`: what the token of the request says; null: it has none. */
export function tokenAt(settings: ProxySettings, head: RequestHead, claims: Claims | null): TokenAt {
  const { jwtRules = [], workload } = settings;
  if (jwtRules.length === 0) return { head, forwarded: claims !== null, explained: null };
  const explained = (
    why: (index: number) => string | null,
    unread = false,
    fault: JwtFault | null = null,
  ) => {
    const rules = jwtRules.map(({ name, issuer, file, line }, index) => ({
      ...{ name, issuer, file, line },
      why: why(index),
    }));
    return { workload: workload.key, rules, unread, fault };
  };
  if (claims === null) {
    const found = jwtRules.some((rule) => new TokenPlaces(rule).find(head) !== null);
    const why = found ? "what the token holds is not known here" : "the request has no token";
    return { head, forwarded: false, explained: explained(() => why, found) };
  }
  const parsed = readClaims(claims);
  if (typeof parsed === "string") {
    return { head, forwarded: false, explained: explained(() => parsed, false, parsed) };
  }
  const faults = jwtRules.map((rule) => claimFault(parsed, rule, parsed.notBefore));
  const at = faults.indexOf(null);
  const whyNot = (index: number): string | null => {
    const fault = faults[index] ?? null;
    if (fault === null) return index === at ? null : "a rule before it takes the token";
    return whyFault(fault, parsed, jwtRules[index] as JwtRule);
  };
  const taken = jwtRules[at];
  if (taken === undefined) {
    const fault = faults.reduce((before, one) => one === null ? before : telling(before, one), null);
    return { head, forwarded: false, explained: explained(whyNot, false, fault) };
  }
  const auth = requestAuthOf(claims, taken.spaceDelimited);
  return { head: { ...head, auth }, forwarded: taken.forwards, explained: explained(whyNot) };
}

/** With what the token has in place of what the rule wants. */
function whyFault(fault: JwtFault, { claims, audiences }: ReadClaims, rule: JwtRule): string {
  if (fault === JWT_FAULT.unknownIssuer) return `the token is of ${JSON.stringify(claims["iss"])}`;
  if (fault !== JWT_FAULT.otherAudience) return fault;
  const has = audiences.length === 0 ? "nobody" : audiences.join(", ");
  return `the token is for ${has}, and has to be for ${rule.audiences.join(" or ")}`;
}

/** What those make of it who receive the request; who looks for no tokens is left out. */
export function explainTokens(
  destinations: readonly ExplainedDestination[],
  { head, claims }: Pick<ExplainRequest, "head" | "claims">,
  receiver: Receiver,
): readonly ExplainedAuthentication[] {
  const workloads = new Set(
    destinations.flatMap(({ endpoints }) => endpoints.flatMap((one) => one.mtls ? one.workload : [])),
  );
  return [...workloads].flatMap((workload) => {
    const settings = receiver(workload)?.get("proxy/self")?.body;
    return settings?.kind === "proxy" ? tokenAt(settings, head, claims).explained ?? [] : [];
  });
}
