/** What a virtual host does with a request: conditions, and what follows when they hold. Plain data, as all of a snapshot. */

/**
 * What an older snapshot does not say is absent, here and in what follows; so is what a rule leaves to its default, which
 * keeps the many plain routes small.
 */
export interface Route {
  readonly name: string | null;
  /** Where the rule was written; null for the default route of a service without a VirtualService. */
  readonly origin: RouteOrigin | null;
  /** Alternatives; empty matches everything. */
  readonly matches: readonly RouteMatch[];
  readonly action: RouteAction;
  /** After those of the chosen destination. */
  readonly requestHeaders?: HeaderEdits;
  /** After those of the chosen destination; also on answers that the proxy makes itself. */
  readonly responseHeaders?: HeaderEdits;
  readonly cors?: CorsPolicy;
  readonly fault?: Fault;
}

export interface RouteOrigin {
  /** `NAMESPACE/NAME`. */
  readonly virtualService: string;
  /** Counts from 0 in `http[]`. */
  readonly rule: number;
  /** Relative to the configuration directory. */
  readonly file: string;
  readonly line: number;
}

/** A rule that no request of this proxy can match here; what `explain` says of it. */
export interface SkippedRule {
  readonly origin: RouteOrigin;
  /** Index of the route before which the rule would stand. */
  readonly before: number;
  /** A clause: `port 80 is asked for, and this is 8080`. */
  readonly why: string;
}

/** All given conditions must hold (VirtualService `HTTPMatchRequest`). */
export interface RouteMatch {
  readonly name: string | null;
  readonly path: StringMatch | null;
  /** Applies to `exact` and `prefix` of the path only. */
  readonly ignorePathCase: boolean;
  readonly method: StringMatch | null;
  readonly scheme: StringMatch | null;
  readonly authority: StringMatch | null;
  readonly headers: readonly NamedMatch[];
  /** Inverted; a missing header counts as the empty string, except for `present`. */
  readonly withoutHeaders: readonly NamedMatch[];
  readonly queryParams: readonly NamedMatch[];
}

/** Every request meets it. */
export const NO_CONDITIONS: RouteMatch = {
  name: null,
  path: null,
  ignorePathCase: false,
  method: null,
  scheme: null,
  authority: null,
  headers: [],
  withoutHeaders: [],
  queryParams: [],
};

export interface NamedMatch {
  /** Lower case for headers, as written for query parameters; among headers a claim too, as in claimName(). */
  readonly name: string;
  readonly match: StringMatch;
}

/** `regex` is RE2 and matches the whole string; `present` asks only that the thing is there. */
export type StringMatch =
  | { readonly type: "exact" | "prefix" | "regex"; readonly value: string }
  | { readonly type: "present" };

export type RouteAction = ForwardAction | RedirectAction | DirectResponseAction;

export interface ForwardAction {
  readonly type: "forward";
  /** Never empty; weights are at least 1, except that a single destination may say 0 (its weight is ignored). */
  readonly destinations: readonly WeightedCluster[];
  /** From the end of the request to the end of the answer, all attempts together. @default none */
  readonly timeoutMs?: number;
  /** @default RETRY_POLICY_DEFAULT */
  readonly retries?: RetryPolicy;
  readonly rewrite?: Rewrite;
  readonly mirrors?: readonly Mirror[];
}

export interface WeightedCluster {
  /** Name of a Cluster; one that the snapshot does not have is answered 503 NC. */
  readonly cluster: string;
  readonly weight: number;
  /** Replaces the request's authority, unless the route's rewrite does. */
  readonly authority?: string;
  readonly requestHeaders?: HeaderEdits;
  readonly responseHeaders?: HeaderEdits;
}

/** When a request is sent again. */
export interface RetryPolicy {
  /** Further attempts after the first; 0: never. */
  readonly attempts: number;
  /** Envoy's names (`x-envoy-retry-on`, `x-envoy-retry-grpc-on`). */
  readonly retryOn: readonly string[];
  /** Statuses that an upstream really answered. */
  readonly retriableStatusCodes: readonly number[];
  /** From the end of the request to the head of the answer; null: as long as the whole may take. */
  readonly perTryTimeoutMs: number | null;
  /** The Nth further attempt waits a random time below (2^N - 1) times this. */
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Another attempt looks for an endpoint that was not tried. */
  readonly avoidPreviousHosts: boolean;
  /** Another attempt may go to other localities. */
  readonly remoteLocalities: boolean;
}

/** Istio's policy where neither a route nor the mesh says anything. */
export const RETRY_POLICY_DEFAULT: RetryPolicy = {
  attempts: 2,
  retryOn: ["connect-failure", "refused-stream", "unavailable", "cancelled"],
  retriableStatusCodes: [],
  perTryTimeoutMs: null,
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  avoidPreviousHosts: true,
  remoteLocalities: false,
};

/** What becomes of the authority and the path on the way upstream. */
export interface Rewrite {
  readonly authority: string | null;
  readonly path: PathRewrite | null;
}

/**
 * `matched` replaces what the path's condition in the match block matched: a prefix, or the whole path where it was exact
 * or a regex; without such a condition the slash at the beginning, as Envoy does. `regex` replaces every match of RE2 in
 * the path, `\1` in the substitution being a group. The query stays.
 */
export type PathRewrite =
  | { readonly type: "matched"; readonly value: string }
  | { readonly type: "regex"; readonly match: string; readonly substitution: string };

/** A copy of each request, whose answer nobody waits for. */
export interface Mirror {
  readonly cluster: string;
  /** 0 to 100, fractions allowed. */
  readonly percentage: number;
}

/** Null leaves that part of the URL as it is. */
export interface RedirectAction {
  readonly type: "redirect";
  readonly code: number;
  /** `full` replaces the path; `matched` as in PathRewrite. The query stays, unless the value brings one. */
  readonly path: { readonly type: "full" | "matched"; readonly value: string } | null;
  readonly authority: string | null;
  readonly scheme: string | null;
  readonly port: number | null;
}

export interface DirectResponseAction {
  readonly type: "directResponse";
  readonly status: number;
  readonly body: { readonly text: string } | { readonly base64: string } | null;
}

/** Names in lower case, values Latin-1. First `remove`, then `set` replaces what is there, then `add` appends. */
export interface HeaderEdits {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
  /** With commands in their values, as in header_format.ts; each stands after the others of its kind. @default none */
  readonly formatted?: readonly FormattedHeader[];
}

export interface FormattedHeader {
  readonly name: string;
  /** Like those in `set`; else like those in `add`. */
  readonly replaces: boolean;
  readonly text: string;
}

/** Delay and abort are drawn one without the other. Percentages are 0 to 100, fractions allowed. */
export interface Fault {
  readonly delay: { readonly percentage: number; readonly fixedMs: number } | null;
  readonly abort: Abort | null;
}

export type Abort =
  | { readonly percentage: number; readonly httpStatus: number }
  | { readonly percentage: number; readonly grpcStatus: number };

/** Empty strings leave the header out. */
export interface CorsPolicy {
  readonly allowOrigins: readonly StringMatch[];
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAgeSeconds: number | null;
  readonly allowCredentials: boolean | null;
  /** What becomes of a preflight of an origin that is not allowed: it is sent on, or answered without any permission. */
  readonly unmatchedPreflights: "FORWARD" | "IGNORE";
}
