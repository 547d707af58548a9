/** What a rule of a VirtualService does with requests, in the words of the snapshot. */
import { compareTexts } from "../lib/compare_texts.ts";
import { resolveHost } from "../config/host.ts";
import type { CorsPolicy as CorsSpec } from "../config/schema/cors_policy.ts";
import type { Destination } from "../config/schema/destination.ts";
import type { HeaderOperations, Headers } from "../config/schema/header_operations.ts";
import type { HttpRedirect } from "../config/schema/http_actions.ts";
import { GRPC_STATUSES, type HttpFault } from "../config/schema/http_fault.ts";
import type { HttpRetry } from "../config/schema/http_retry.ts";
import type { HttpRule } from "../config/schema/http_rule.ts";
import type {
  CorsPolicy,
  Fault,
  ForwardAction,
  HeaderEdits,
  Mirror,
  RedirectAction,
  RetryPolicy,
  Rewrite,
  Route,
  RouteAction,
  WeightedCluster,
} from "../model/route.ts";
import { clusterName } from "../model/cluster.ts";

/** All of it, where a destination stands alone. */
const WEIGHT_WHOLE = 100;

/** Envoy's longest back-off, in base intervals. */
const BACKOFF_MAX_INTERVALS = 10;

/** The two names of the authority come out of the schema as one. */
const AUTHORITY = "host";

/** What destinations are resolved with. */
export interface DestinationScope {
  /** Of the rule: short names mean services there. */
  readonly namespace: string;
  /** Of the virtual host. */
  readonly port: number;
  /** The port of a destination that names none. */
  inferredPort(host: string): number;
  /** What holds for rules that say nothing of retries; null: what every proxy does. */
  readonly retries: HttpRetry | null;
}

type RouteEffects = Pick<Route, "action" | "requestHeaders" | "responseHeaders" | "cors" | "fault">;

export function routeEffects(http: HttpRule, scope: DestinationScope): RouteEffects {
  const [only, ...others] = http.route;
  // The operations of a destination that stands alone come after those of the rule, in one list, as in Istio.
  const all = [http.headers, ...others.length === 0 ? [only?.headers ?? null] : []];
  const request = headerEdits(all.map((headers) => headers?.request ?? null));
  const response = headerEdits(all.map((headers) => headers?.response ?? null));
  return {
    action: actionOf(http, scope),
    ...request === null ? {} : { requestHeaders: request },
    ...response === null ? {} : { responseHeaders: response },
    ...http.corsPolicy === null ? {} : { cors: corsOf(http.corsPolicy) },
    ...http.fault === null ? {} : { fault: faultOf(http.fault) },
  };
}

function actionOf(http: HttpRule, scope: DestinationScope): RouteAction {
  const { redirect, directResponse } = http;
  if (redirect !== null) return redirectOf(redirect, scope.port);
  if (directResponse === null) return forwardOf(http, scope);
  const { status, body } = directResponse;
  const text = body?.string ?? null;
  const base64 = body?.bytes ?? null;
  const content = text !== null ? { text } : base64 !== null ? { base64 } : null;
  return { type: "directResponse", status, body: content };
}

function forwardOf(http: HttpRule, scope: DestinationScope): ForwardAction {
  const { timeout } = http;
  const retries = http.retries ?? scope.retries;
  const rewrite = rewriteOf(http);
  const mirrors = [...http.mirror === null ? [] : [http.mirror], ...http.mirrors]
    .filter(({ percentage }) => percentage > 0)
    .map(({ destination, percentage }): Mirror => ({ cluster: clusterOf(destination, scope), percentage }));
  return {
    type: "forward",
    destinations: destinationsOf(http.route, scope),
    ...timeout === null ? {} : { timeoutMs: timeout },
    ...retries === null ? {} : { retries: retryPolicy(retries) },
    ...rewrite === null ? {} : { rewrite },
    ...mirrors.length === 0 ? {} : { mirrors },
  };
}

/** Of requests, or of bytes, which have no headers. */
export interface WeightedDestination {
  readonly destination: Destination;
  readonly weight: number;
  readonly headers?: Headers | null;
}

/** A single destination gets everything whatever its weight; among several, weight 0 takes a destination out. */
export function destinationsOf(
  route: readonly WeightedDestination[],
  scope: DestinationScope,
): readonly WeightedCluster[] {
  const [only, ...others] = route;
  if (only !== undefined && others.length === 0) {
    return [{ cluster: clusterOf(only.destination, scope), weight: WEIGHT_WHOLE }];
  }
  return route.filter(({ weight }) => weight > 0).map(({ destination, weight, headers = null }) => {
    const request = headerEdits([headers?.request ?? null]);
    const response = headerEdits([headers?.response ?? null]);
    const authority = authorityOf(headers);
    return {
      cluster: clusterOf(destination, scope),
      weight,
      ...authority === null ? {} : { authority },
      ...request === null ? {} : { requestHeaders: request },
      ...response === null ? {} : { responseHeaders: response },
    };
  });
}

function clusterOf(
  { host: written, port, subset }: Destination,
  { namespace, inferredPort }: DestinationScope,
): string {
  const host = resolveHost(written, namespace);
  return clusterName(port ?? inferredPort(host), subset, host);
}

/** The rule's own authority goes before that of a destination. */
function rewriteOf({ rewrite, headers, route }: HttpRule): Rewrite | null {
  const [only, ...others] = route;
  const authority = rewrite?.authority ?? authorityOf(headers) ??
    (others.length === 0 ? authorityOf(only?.headers ?? null) : null);
  const regex = rewrite?.uriRegexRewrite ?? null;
  const uri = rewrite?.uri ?? null;
  if (regex === null && uri === null) return authority === null ? null : { authority, path: null };
  if (regex === null) return { authority, path: { type: "matched", value: uri as string } };
  return { authority, path: { type: "regex", match: regex.match, substitution: regex.rewrite } };
}

function authorityOf(headers: Headers | null): string | null {
  const { set = {}, add = {} } = headers?.request ?? {};
  return set[AUTHORITY] ?? add[AUTHORITY] ?? null;
}

/** The operations one after the other; null when there are none. Sorted as Istio does, so that equal files give equal routes. */
function headerEdits(all: readonly (HeaderOperations | null)[]): HeaderEdits | null {
  const present = all.filter((one) => one !== null);
  const pairs = (of: (one: HeaderOperations) => Readonly<Record<string, string>>) =>
    present.flatMap((one) =>
      Object.entries(of(one)).filter(([name]) => name !== AUTHORITY).sort(([a], [b]) => compareTexts(a, b))
    );
  const edits = {
    set: pairs(({ set }) => set),
    add: pairs(({ add }) => add),
    remove: present.flatMap(({ remove }) => remove),
  };
  const formatted = present.flatMap((one) => one.formatted ?? []);
  if (formatted.length > 0) return { ...edits, formatted };
  return edits.set.length + edits.add.length + edits.remove.length === 0 ? null : edits;
}

export function retryPolicy(retries: HttpRetry): RetryPolicy {
  const { attempts, retryOn, perTryTimeout, backoff, retryIgnorePreviousHosts, retryRemoteLocalities } =
    retries;
  return {
    attempts,
    retryOn: retryOn.conditions,
    retriableStatusCodes: retryOn.statusCodes,
    perTryTimeoutMs: perTryTimeout,
    backoffBaseMs: backoff,
    backoffMaxMs: backoff * BACKOFF_MAX_INTERVALS,
    avoidPreviousHosts: retryIgnorePreviousHosts,
    remoteLocalities: retryRemoteLocalities,
  };
}

/** A derived port is that of the virtual host; Envoy leaves out a default one by itself. */
function redirectOf(redirect: HttpRedirect, port: number): RedirectAction {
  const { uri, prefixRewrite, authority, scheme, derivePort, redirectCode } = redirect;
  const path = uri !== null
    ? { type: "full" as const, value: uri }
    : prefixRewrite !== null
    ? { type: "matched" as const, value: prefixRewrite }
    : null;
  return {
    type: "redirect",
    code: redirectCode,
    path,
    authority,
    scheme,
    port: derivePort === "FROM_REQUEST_PORT" ? port : redirect.port,
  };
}

function faultOf({ delay, abort }: HttpFault): Fault {
  return {
    delay: delay === null ? null : { percentage: delay.percentage, fixedMs: delay.fixedDelay },
    abort: abort === null
      ? null
      : abort.grpcStatus === null
      ? { percentage: abort.percentage, httpStatus: abort.httpStatus as number }
      : { percentage: abort.percentage, grpcStatus: GRPC_STATUSES.indexOf(abort.grpcStatus) },
  };
}

function corsOf(policy: CorsSpec): CorsPolicy {
  return {
    allowOrigins: policy.allowOrigins,
    allowMethods: policy.allowMethods.join(),
    allowHeaders: policy.allowHeaders.join(),
    exposeHeaders: policy.exposeHeaders.join(),
    maxAgeSeconds: policy.maxAge === null ? null : policy.maxAge / 1_000,
    allowCredentials: policy.allowCredentials,
    unmatchedPreflights: policy.unmatchedPreflights,
  };
}
