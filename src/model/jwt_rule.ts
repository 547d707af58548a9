/** How a proxy verifies the tokens of requests to its workload. Made from RequestAuthentication; defaults are settled. */

export interface JwtRule {
  /** `NAMESPACE/NAME` of the RequestAuthentication. */
  readonly name: string;
  /** Relative to the configuration directory. */
  readonly file: string;
  readonly line: number;
  /** The token's `iss`, as it is written. */
  readonly issuer: string;
  /** One of them has to be among the token's; empty: whatever it says. */
  readonly audiences: readonly string[];
  readonly keys: JwtKeys;
  /** Where tokens are looked for, in all of these places. Names of headers in lower case. */
  readonly headers: readonly { readonly name: string; readonly prefix: string }[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
  /** The token stays in the request. */
  readonly forwards: boolean;
  /** Header, lower case, that tells the workload the payload; null: none. */
  readonly payloadHeader: string | null;
  /** Headers, lower case, that tell it claims. Dots in a claim lead into it. */
  readonly claimHeaders: readonly { readonly header: string; readonly claim: string }[];
  /** Claims that are lists between spaces, beside `scope` and `permission`. */
  readonly spaceDelimited: readonly string[];
  /** For an answer of the server that has the keys. */
  readonly timeoutMs: number;
}

/** The issuer's keys: as written, from a URL, or from the one that the issuer's own OpenID configuration names. */
export type JwtKeys =
  | { readonly type: "inline"; readonly jwks: string }
  | { readonly type: "url"; readonly url: string }
  | { readonly type: "discovery" };
