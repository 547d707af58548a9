/**
 * Which rules about tokens a request meets, and what a token would count for. Nothing is verified here, where no keys are:
 * whoever asks says what the token holds, and it is taken for good.
 */
import type { ProxySettings } from "../../model/snapshot.ts";
import type { RequestHead } from "../exchange.ts";
import { claimFault, readClaims } from "../jwt/parsed_jwt.ts";
import { type Claims, requestAuthOf } from "../jwt/request_auth.ts";
import { telling } from "../jwt/token_check.ts";
import { TokenPlaces } from "../jwt/token_places.ts";
import type { Receiver } from "./authorization.ts";
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
  const rules = jwtRules.map(({ name, issuer, file, line }) => ({ name, issuer, file, line }));
  const found = jwtRules.some((rule) => new TokenPlaces(rule).find(head) !== null);
  const explained = { workload: workload.key, rules, unread: found && claims === null, fault: null };
  if (claims === null) return { head, forwarded: false, explained };
  const parsed = readClaims(claims);
  const faults = jwtRules.map((rule) =>
    typeof parsed === "string" ? parsed : claimFault(parsed, rule, parsed.notBefore)
  );
  const taken = jwtRules[faults.indexOf(null)];
  if (taken === undefined) {
    const fault = faults.reduce((before, one) => one === null ? before : telling(before, one), null);
    return { head, forwarded: false, explained: { ...explained, fault } };
  }
  const auth = requestAuthOf(claims, taken.spaceDelimited);
  return { head: { ...head, auth }, forwarded: taken.forwards, explained };
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
