/** Verifies the tokens of one rule. A token that is known is answered at once; the signature of another takes a while. */
import type { Clock } from "../../lib/clock.ts";
import type { JwtRule } from "../../model/jwt_rule.ts";
import { JWT_FAULT, type JwtFault } from "./jwt_fault.ts";
import type { KeySet } from "./key_set.ts";
import type { KeySource } from "./key_source.ts";
import { outputHeaders } from "./output_headers.ts";
import { claimFault, type ParsedJwt, parseJwt } from "./parsed_jwt.ts";
import { type RequestAuth, requestAuthOf } from "./request_auth.ts";
import { tokenHash, VerifiedTokens } from "./verified_tokens.ts";

/** Longest token that is looked at. Heads may be larger. */
export const TOKEN_CHARACTERS_MAX = 16_384;

/** Tokens of a proxy whose signatures, or keys, are waited for; a further one is refused. */
export const VERIFICATIONS_MAX = 1_000;

export interface VerifierContext {
  readonly clock: Clock;
  readonly verifications: { count: number };
}

export interface VerifiedToken {
  readonly parsed: ParsedJwt;
  readonly auth: RequestAuth;
  /** What the workload is told: name, value, name, value … */
  readonly headers: readonly string[];
}

export type TokenOutcome = VerifiedToken | JwtFault;

export class TokenVerifier {
  readonly rule: JwtRule;
  readonly #keys: KeySource;
  readonly #context: VerifierContext;
  readonly #verified = new VerifiedTokens<VerifiedToken>();

  constructor(rule: JwtRule, keys: KeySource, context: VerifierContext) {
    this.rule = rule;
    this.#keys = keys;
    this.#context = context;
  }

  /** A promise never rejects. */
  verify(token: string): TokenOutcome | Promise<TokenOutcome> {
    if (token.length > TOKEN_CHARACTERS_MAX) return JWT_FAULT.tooLarge;
    const keys = this.#keys.current();
    const hash = tokenHash(token);
    const known = keys instanceof Promise || keys === null ? null : this.#verified.get(hash, keys);
    const parsed = known === null ? parseJwt(token) : known.parsed;
    if (typeof parsed === "string") return parsed;
    // A token that is known may have expired since.
    const fault = claimFault(parsed, this.rule, this.#context.clock.now() / 1_000);
    if (fault !== null) return fault;
    if (known !== null) return known;
    if (keys === null) return JWT_FAULT.noKeys;
    const { verifications } = this.#context;
    if (verifications.count >= VERIFICATIONS_MAX) return JWT_FAULT.overload;
    verifications.count++;
    return this.#verify(token, hash, parsed, keys).finally(() => verifications.count--);
  }

  async #verify(
    token: string,
    hash: string,
    parsed: ParsedJwt,
    current: KeySet | Promise<KeySet | null>,
  ): Promise<TokenOutcome> {
    let keys = await current;
    if (keys === null) return JWT_FAULT.noKeys;
    let place = keys.find(parsed);
    if (place === null) {
      keys = await this.#keys.renewed(keys) ?? keys;
      place = keys.find(parsed);
    }
    if (place === null) return JWT_FAULT.noKey;
    const fault = await keys.signatureFault(token, place, parsed.alg);
    if (fault !== null) return fault;
    const { rule } = this;
    const verified = {
      parsed,
      auth: requestAuthOf(parsed.claims, rule.spaceDelimited),
      headers: outputHeaders(parsed, rule),
    };
    this.#verified.set(hash, keys, verified);
    return verified;
  }
}
