/** One route, compiled: its conditions, and what becomes of a request that meets them. */
import {
  type CorsPolicy,
  type DirectResponseAction,
  type Fault,
  type ForwardAction,
  type RedirectAction,
  RETRY_POLICY_DEFAULT,
  type Route,
  type WeightedCluster,
} from "../../model/route.ts";
import { compileConditions, type Condition } from "./conditions.ts";
import { compileStringMatch, type StringMatcher } from "./string_matcher.ts";
import { type CompiledHeaderEdits, compileHeaderEdits } from "./header_edits.ts";
import { type CompiledPathRewrite, compilePathRewrite } from "./path_rewrite.ts";
import { CompiledRetryPolicy } from "./retry_policy.ts";
import { runningSums } from "./weighted_targets.ts";

/** What holds where no route says anything. */
export const DEFAULT_RETRIES = new CompiledRetryPolicy(RETRY_POLICY_DEFAULT);

/** What a route leads to, chosen by weight. `Target` is null for a cluster that the snapshot does not have. */
export interface CompiledRoute<Target> {
  readonly route: Route;
  /** Alternatives, each a list of conditions that must all hold; null matches everything. */
  readonly alternatives: readonly (readonly Condition[])[] | null;
  readonly action: CompiledForward<Target> | CompiledDirectResponse | RedirectAction;
  readonly requestEdits: CompiledHeaderEdits | null;
  readonly responseEdits: CompiledHeaderEdits | null;
  readonly cors: CompiledCors | null;
  readonly fault: Fault | null;
}

export interface CompiledForward<Target> {
  readonly type: "forward";
  readonly destinations: readonly CompiledDestination<Target>[];
  /** Running sums of the weights, one for each destination. */
  readonly cumulative: readonly number[];
  readonly retries: CompiledRetryPolicy;
  /** 0: none. */
  readonly timeoutMs: number;
  /** Null on the many routes that send a request on as it is. */
  readonly changes: ForwardChanges<Target> | null;
}

export interface CompiledDestination<Target> {
  readonly target: Target | null;
  readonly authority: string | null;
  readonly requestEdits: CompiledHeaderEdits | null;
  readonly responseEdits: CompiledHeaderEdits | null;
}

export interface ForwardChanges<Target> {
  readonly authority: string | null;
  readonly path: CompiledPathRewrite | null;
  readonly mirrors: readonly CompiledMirror<Target>[];
}

export interface CompiledMirror<Target> {
  /** Null: the snapshot does not have the cluster, and nothing is sent. */
  readonly target: Target | null;
  readonly percentage: number;
}

export interface CompiledDirectResponse {
  readonly type: "directResponse";
  readonly status: number;
  readonly body: Uint8Array;
}

export interface CompiledCors {
  readonly policy: CorsPolicy;
  readonly origins: readonly StringMatcher[];
}

/** `find` turns a cluster's name into what the proxy sends to. Throws when a regex does not compile. */
export function compileRoute<Target>(
  route: Route,
  find: (cluster: string) => Target | null,
): CompiledRoute<Target> {
  const { action, cors } = route;
  return {
    route,
    alternatives: route.matches.length === 0 ? null : route.matches.map(compileConditions),
    action: action.type === "forward"
      ? compileForward(action, find)
      : action.type === "directResponse"
      ? { type: "directResponse", status: action.status, body: bodyBytes(action) }
      : action,
    requestEdits: compileHeaderEdits(route.requestHeaders),
    responseEdits: compileHeaderEdits(route.responseHeaders),
    cors: cors === undefined
      ? null
      : { policy: cors, origins: cors.allowOrigins.map((origin) => compileStringMatch(origin)) },
    fault: route.fault ?? null,
  };
}

function compileForward<Target>(
  action: ForwardAction,
  find: (cluster: string) => Target | null,
): CompiledForward<Target> {
  const { destinations, timeoutMs = 0, retries, rewrite, mirrors = [] } = action;
  const path = rewrite?.path ?? null;
  const changes = {
    authority: rewrite?.authority ?? null,
    path: path === null ? null : compilePathRewrite(path),
    mirrors: mirrors.map(({ cluster, percentage }) => ({ target: find(cluster), percentage })),
  };
  const changed = rewrite !== undefined || mirrors.length > 0;
  return {
    type: "forward",
    destinations: destinations.map((destination) => compileDestination(destination, find)),
    cumulative: runningSums(destinations),
    retries: retries === undefined ? DEFAULT_RETRIES : new CompiledRetryPolicy(retries),
    timeoutMs,
    changes: changed ? changes : null,
  };
}

function compileDestination<Target>(
  { cluster, authority, requestHeaders, responseHeaders }: WeightedCluster,
  find: (cluster: string) => Target | null,
): CompiledDestination<Target> {
  return {
    target: find(cluster),
    authority: authority ?? null,
    requestEdits: compileHeaderEdits(requestHeaders),
    responseEdits: compileHeaderEdits(responseHeaders),
  };
}

function bodyBytes({ body }: DirectResponseAction): Uint8Array {
  if (body === null) return new Uint8Array(0);
  return "text" in body ? new TextEncoder().encode(body.text) : Uint8Array.fromBase64(body.base64);
}
