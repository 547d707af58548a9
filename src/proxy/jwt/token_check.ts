/**
 * The tokens of requests to a workload, by all rules that select it. As in Istio a request passes that has a token which
 * one of them accepts, or none that any of them looks for; which of several tokens counts is the order of the rules.
 */
import type { JwtRule } from "../../model/jwt_rule.ts";
import type { RequestHead } from "../exchange.ts";
import { jwtRefused, LOCAL_REPLY, type LocalReply } from "../local_reply.ts";
import { cgiName } from "../message_syntax.ts";
import { JWT_FAULT, type JwtFault } from "./jwt_fault.ts";
import type { KeySource } from "./key_source.ts";
import { outputNames } from "./output_headers.ts";
import { keepFields, TokenPlaces } from "./token_places.ts";
import {
  type TokenOutcome,
  TokenVerifier,
  type VerifiedToken,
  type VerifierContext,
} from "./token_verifier.ts";

/** Tokens that one rule looks at in a request. */
export const TOKENS_MAX = 4;

interface Check {
  readonly places: TokenPlaces;
  readonly verifier: TokenVerifier;
}

/** A rule that has tokens to verify. */
interface Attempt {
  readonly check: Check;
  readonly tokens: readonly string[];
}

/** Null: the request may go on. */
type Refusal = LocalReply | null;

export class TokenCheck {
  readonly #checks: readonly Check[];
  readonly #outputs: ReadonlySet<string>;

  /** Throws where keys that a rule brings along are none. */
  constructor(rules: readonly JwtRule[], keysOf: (rule: JwtRule) => KeySource, context: VerifierContext) {
    this.#checks = rules.map((rule) => ({
      places: new TokenPlaces(rule),
      verifier: new TokenVerifier(rule, keysOf(rule), context),
    }));
    this.#outputs = new Set(rules.flatMap(outputNames).map(cgiName));
  }

  /**
   * What its token says is in the head when it may go on, and only then and by us: what the client wrote there goes. A
   * promise comes where a signature or a server is waited for, and never rejects.
   */
  check(head: RequestHead): Refusal | Promise<Refusal> {
    let attempts: Attempt[] | null = null;
    for (const check of this.#checks) {
      const tokens = check.places.find(head);
      if (tokens !== null) (attempts ??= []).push({ check, tokens });
    }
    if (this.#outputs.size > 0) keepFields(head.headers, (name) => !this.#outputs.has(cgiName(name)));
    return attempts === null ? null : this.#try(attempts, 0, null, head);
  }

  #try(
    attempts: readonly Attempt[],
    index: number,
    fault: JwtFault | null,
    head: RequestHead,
  ): Refusal | Promise<Refusal> {
    const attempt = attempts[index];
    if (attempt === undefined) return refusal(fault ?? JWT_FAULT.badForm, head);
    const decide = (outcome: TokenOutcome) => {
      if (typeof outcome !== "string") return accept(attempt.check, outcome, head);
      return this.#try(attempts, index + 1, telling(fault, outcome), head);
    };
    const outcome = verifyAll(attempt);
    return outcome instanceof Promise ? outcome.then(decide) : decide(outcome);
  }
}

/** All have to hold; the first one counts. */
function verifyAll({ check: { verifier }, tokens }: Attempt): TokenOutcome | Promise<TokenOutcome> {
  const [first, ...others] = tokens;
  if (first === undefined || tokens.length > TOKENS_MAX) return JWT_FAULT.tooMany;
  if (others.length === 0) return verifier.verify(first);
  return Promise.all(tokens.map((token) => verifier.verify(token))).then((outcomes) =>
    outcomes.find((outcome) => typeof outcome === "string") ?? outcomes[0] as VerifiedToken
  );
}

function accept({ places, verifier }: Check, { auth, headers }: VerifiedToken, head: RequestHead): null {
  if (!verifier.rule.forwards) places.strip(head);
  if (headers.length > 0) head.headers.push(...headers);
  head.auth = auth;
  return null;
}

/** Of several rules' reasons the first that is about the token itself: another issuer's is none of a rule's business. */
export function telling(before: JwtFault | null, fault: JwtFault): JwtFault {
  return before === null || before === JWT_FAULT.unknownIssuer ? fault : before;
}

function refusal(fault: JwtFault, head: RequestHead): LocalReply {
  return fault === JWT_FAULT.overload ? LOCAL_REPLY.tooManyVerifications : jwtRefused(fault, head);
}
