/** What becomes of a request that met a route, as `explain` says it: the same decisions as the proxy's, none drawn. */
import { formatAuthority } from "../../lib/authority.ts";
import type { HeaderEdits, Mirror, WeightedCluster } from "../../model/route.ts";
import type { RequestHead } from "../exchange.ts";
import { allowedOrigin, preflightReply } from "../filters/cors.ts";
import { requestTimeoutMs } from "../filters/grpc_timeout.ts";
import { isGrpc, type LocalReply } from "../local_reply.ts";
import type { CompiledForward, CompiledRoute } from "../route/compiled_route.ts";
import { normalPath } from "../route/normal_path.ts";
import { redirectLocation } from "../route/redirect.ts";
import type { CompiledRetryPolicy } from "../route/retry_policy.ts";
import { matchedBlock } from "../route/route_table.ts";
import type {
  ExplainedDestination,
  ExplainedFault,
  ExplainedHeaders,
  ExplainedMirror,
  ExplainedRetries,
  ExplainNote,
  Explanation,
} from "./explanation.ts";
import { clusterParts, type MeshView } from "./mesh_view.ts";
import { noteOnCluster } from "./notes.ts";

export type ExplainedAction =
  & Pick<
    Explanation,
    | "action"
    | "destinations"
    | "rewrite"
    | "redirect"
    | "directResponse"
    | "timeoutMs"
    | "retries"
    | "fault"
    | "mirrors"
    | "requestHeaders"
  >
  & { readonly notes: readonly ExplainNote[] };

/** All of it, where a single destination says 0. */
const WEIGHT_WHOLE = 100;

const NO_HEADERS: ExplainedHeaders = { set: {}, add: {}, remove: [] };

/** What is true where no route has a say. */
export const NO_ACTION: Omit<ExplainedAction, "action" | "notes"> = {
  destinations: [],
  rewrite: null,
  redirect: null,
  directResponse: null,
  timeoutMs: null,
  retries: null,
  fault: null,
  mirrors: [],
  requestHeaders: NO_HEADERS,
};

export function explainAction(
  mesh: MeshView,
  compiled: CompiledRoute<unknown>,
  head: RequestHead,
): ExplainedAction {
  const { action, cors } = compiled;
  const fault = explainedFault(compiled);
  const common = { ...NO_ACTION, fault, notes: [] };
  // Filters stand before the route's action, in this order.
  if ((fault?.abort?.percentage ?? 0) >= 100) return { ...common, action: "abort" };
  const preflight = cors === null ? null : preflightReply(cors, head, allowedOrigin(cors, head));
  if (preflight !== null) {
    return { ...common, action: "direct-response", directResponse: { status: preflight.status, body: "" } };
  }
  if (action.type === "forward") {
    const path = rewrittenPath(mesh, compiled, action, head);
    if (typeof path !== "object") return { ...common, ...forwarded(mesh, compiled, action, head, path) };
    const { status, text: body, details } = path;
    const text = `The path, as the rule rewrites it, has no form in which it can go on (${details}).`;
    return {
      ...common,
      action: "direct-response",
      directResponse: { status, body },
      notes: [{ destination: null, text }],
    };
  }
  if (action.type === "redirect") {
    const location = redirectLocation(action, head, matchedBlock(compiled, head));
    return { ...common, action: "redirect", redirect: { code: action.code, location } };
  }
  const body = new TextDecoder().decode(action.body);
  return { ...common, action: "direct-response", directResponse: { status: action.status, body } };
}

function forwarded(
  mesh: MeshView,
  compiled: CompiledRoute<unknown>,
  forward: CompiledForward<unknown>,
  head: RequestHead,
  path: string | undefined,
): Omit<ExplainedAction, "redirect" | "directResponse" | "fault"> {
  const { route } = compiled;
  const action = route.action;
  if (action.type !== "forward") throw new Error("The compiled route is not the route's");
  const { destinations, mirrors = [] } = action;
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  const timeoutMs = requestTimeoutMs(
    forward.timeoutMs,
    { ...head, headers: [...head.headers] },
    isGrpc(head),
  );
  return {
    action: "forward",
    destinations: destinations.map((destination) => destinationOf(mesh, destination, total)),
    rewrite: rewriteOf(forward, path),
    timeoutMs: timeoutMs === 0 ? null : timeoutMs,
    retries: retriesOf(forward.retries),
    mirrors: mirrors.map(mirrorOf),
    requestHeaders: headersOf(route.requestHeaders),
    notes: [
      ...destinations.flatMap(({ cluster }, index) => noted(noteOnCluster(mesh, cluster), index)),
      ...mirrors.flatMap(({ cluster }) => noted(noteOnCluster(mesh, cluster, "Copies"), null)),
    ],
  };
}

function noted(text: string | undefined, destination: number | null): ExplainNote[] {
  return text === undefined ? [] : [{ destination, text }];
}

/** Undefined without a rewrite; the answer where it leads to no path. */
function rewrittenPath(
  { settings }: MeshView,
  compiled: CompiledRoute<unknown>,
  { changes }: CompiledForward<unknown>,
  head: RequestHead,
): string | LocalReply | undefined {
  const path = changes?.path?.apply(head.path, matchedBlock(compiled, head));
  return typeof path === "string" ? normalPath(path, settings.pathNormalization) : path;
}

function rewriteOf(
  { changes, destinations }: CompiledForward<unknown>,
  path: string | undefined,
): Explanation["rewrite"] {
  const [only, ...others] = destinations;
  const authority = changes?.authority ?? (others.length === 0 ? only?.authority : null) ?? null;
  return authority === null && path === undefined ? null : { authority, path: path ?? null };
}

function retriesOf(policy: CompiledRetryPolicy): ExplainedRetries | null {
  const { attempts, retryOn, perTryTimeoutMs } = policy;
  return attempts === 0 ? null : { attempts, retryOn, perTryTimeoutMs };
}

function explainedFault({ fault }: CompiledRoute<unknown>): ExplainedFault | null {
  if (fault === null) return null;
  const { delay, abort } = fault;
  return {
    delay: delay === null ? null : { percentage: delay.percentage, fixedDelayMs: delay.fixedMs },
    abort,
  };
}

function mirrorOf({ cluster, percentage }: Mirror): ExplainedMirror {
  return { ...clusterParts(cluster), percentage };
}

function headersOf(edits: HeaderEdits | undefined): ExplainedHeaders {
  if (edits === undefined) return NO_HEADERS;
  const formatted = (replaces: boolean) =>
    (edits.formatted ?? []).filter((one) => one.replaces === replaces).map(({ name, text }) => [name, text]);
  return {
    set: Object.fromEntries([...edits.set, ...formatted(true)]),
    add: Object.fromEntries([...edits.add, ...formatted(false)]),
    remove: edits.remove,
  };
}

export function destinationOf(
  mesh: MeshView,
  { cluster, weight, requestHeaders }: WeightedCluster,
  total: number,
): ExplainedDestination {
  const share = total === 0 ? WEIGHT_WHOLE : Math.round(weight * 10_000 / total) / 100;
  const endpoints = (mesh.endpoints.get(cluster) ?? []).map(({ address, port, workload, meshPort }) => ({
    address: formatAuthority({ hostname: address, port }),
    workload: workload.key,
    mtls: meshPort !== null,
  }));
  const explained = { ...clusterParts(cluster), weight: share, endpoints };
  return requestHeaders === undefined
    ? explained
    : { ...explained, requestHeaders: headersOf(requestHeaders) };
}
