/** Where a request would go, and why: what the proxy's own route table says of it. */
import type { RouteOrigin } from "../../model/route.ts";
import { clusterName, type Snapshot, type VirtualHost } from "../../model/snapshot.ts";
import type { RequestHead } from "../exchange.ts";
import type { CompiledRoute } from "../route/compiled_route.ts";
import {
  type CompiledVirtualHost,
  explainRoutes,
  findRoute,
  RouteTable,
  type RouteVerdict,
} from "../route/route_table.ts";
import { explainAction, type ExplainedAction, NO_ACTION } from "./action.ts";
import { explainTokens, tokenAt } from "./authentication.ts";
import { explainAuthorization, type Receiver } from "./authorization.ts";
import type { Explained, ExplainedRule, Explanation } from "./explanation.ts";
import { edgeHost, HTTPS_REDIRECT } from "../filters/gateway.ts";
import { tlsVerdict } from "./bytes.ts";
import { gatewayPort, gatewayVerdict } from "./gateway.ts";
import { explainOwnPolicies, headAtEdge, noteOnClient } from "./gateway_policies.ts";
import { type MeshView, meshView } from "./mesh_view.ts";
import { noteOnUnknownName } from "./notes.ts";
import { type ExplainRequest, ExplainRequestError } from "./request.ts";

/** What differs from one request to the next. */
type Outcome =
  & Pick<Explanation, "action" | "service" | "route" | "trace">
  & Pick<Explained, "origins" | "notes">
  & Omit<ExplainedAction, "action" | "notes">
  & {
    /** As what it is when a gateway asks its own policies; absent: it does not come to that. */
    readonly guarded?: "http" | "tcp";
  };

/**
 * What the proxy that has this snapshot would do with a request, and what those do to whom it sends it. Throws when the
 * snapshot has no proxy settings, and ExplainRequestError where a client is named and the proxy is no gateway.
 */
export function explain(snapshot: Snapshot, request: ExplainRequest, receiver: Receiver): Explained {
  const mesh = meshView(snapshot);
  const isGateway = mesh.gatewayListeners.length > 0;
  if (request.client !== null && !isGateway) {
    const why = "is no gateway: its own program calls, from its own address";
    throw new ExplainRequestError("client", `${mesh.settings.workload.key} ${why}`);
  }
  const arrived = isGateway ? { ...request, head: headAtEdge(mesh, request) } : request;
  const token = isGateway ? tokenAt(mesh.settings, arrived.head, request.claims) : null;
  const entered = { ...arrived, head: token?.head ?? arrived.head };
  const { action, service, route, trace, origins, notes, guarded, ...done } = outcomeOf(mesh, entered);
  const isAsked = guarded !== undefined && (token?.explained?.fault ?? null) === null;
  const own = isAsked ? explainOwnPolicies(mesh, entered, guarded) : null;
  const sent = { ...arrived, claims: token === null || token.forwarded ? request.claims : null };
  const authentication = [token?.explained ?? [], explainTokens(done.destinations, sent, receiver)].flat();
  const explanation: Explanation = {
    from: mesh.settings.workload.key,
    method: request.head.method,
    url: request.url,
    service,
    route,
    action,
    ...done,
    ...(authentication.length === 0 ? {} : { authentication }),
    ...(own === null ? {} : { gatewayAuthorization: own }),
    authorization: explainAuthorization(mesh.settings, done, sent, receiver),
    trace,
  };
  const clusters = explanation.destinations
    .map(({ host, port, subset }) => mesh.clusters.get(clusterName(port, subset, host)) ?? null);
  const { locality = null } = mesh.settings;
  const unknown = isGateway && request.client === null ? noteOnClient(mesh, done.destinations, receiver) : [];
  return { explanation, origins, notes: [...notes, ...unknown], clusters, locality };
}

function outcomeOf(mesh: MeshView, { head, scheme }: ExplainRequest): Outcome {
  if (mesh.gatewayListeners.length > 0) return atGateway(mesh, scheme, head);
  if (scheme === "https") return inTls(mesh, head);
  const { workload } = mesh.settings;
  const found = new RouteTable(mesh.virtualHosts, () => null).virtualHost(head.authority);
  if (found === undefined) {
    const why = `no service that ${workload.key} sees has the name ${JSON.stringify(head.authority)}`;
    const note = noteOnUnknownName(mesh, head.authority);
    return unrouted(outside(mesh), why, note);
  }
  return routed(mesh, found, head);
}

/** TLS that the program speaks itself: rules for the name that it asks for decide, and none that reads requests. */
function inTls(mesh: MeshView, head: RequestHead): Outcome {
  const found = tlsVerdict(mesh, head.authority, gatewayPort("https", head));
  if (found === null) {
    return unrouted(
      outside(mesh),
      "TLS of the application itself is not opened, so no HTTP rule applies to it",
    );
  }
  const { service, port, route } = found;
  const name = JSON.stringify(edgeHost(head.authority));
  if (route === null) {
    return unrouted(outside(mesh), `no rule at port ${port} of ${service} is for TLS for ${name}`);
  }
  return ofBytes(mesh, route, head, {
    service,
    why: `TLS for ${name} at port ${port} of ${service}, of which no request is read`,
  });
}

/** What becomes of calls to hosts that nobody declared. */
function outside({ settings }: MeshView): "passthrough" | "blocked" {
  return settings.outboundPolicy === "REGISTRY_ONLY" ? "blocked" : "passthrough";
}

function atGateway(mesh: MeshView, scheme: "http" | "https", head: RequestHead): Outcome {
  const verdict = gatewayVerdict(mesh, scheme, head);
  switch (verdict.type) {
    case "host":
      return { ...routed(mesh, verdict.found, head), guarded: "http" };
    case "refused":
    case "not-found":
      return unrouted(verdict.type, verdict.why);
    case "redirect": {
      const { location, service, why } = verdict;
      const common = { service, route: null, trace: [aside(true, why)], origins: [null], notes: [] };
      return {
        ...NO_ACTION,
        ...common,
        action: "redirect",
        redirect: { code: HTTPS_REDIRECT.code, location },
      };
    }
    case "bytes": {
      const { route, why } = verdict;
      return { ...ofBytes(mesh, route, head, { service: null, why }), guarded: "tcp" };
    }
  }
}

function ofBytes(
  mesh: MeshView,
  route: CompiledRoute<unknown>,
  head: RequestHead,
  { service, why }: { readonly service: string | null; readonly why: string },
): Outcome {
  const { origin } = route.route;
  const { virtualService = null, rule = null } = origin ?? {};
  const trace = [{ virtualService, rule, matched: true, why }];
  const common = { service, route: routeOf(route), trace, origins: [origin] };
  return { ...common, ...explainAction(mesh, route, head) };
}

function unrouted(
  action: "passthrough" | "blocked" | "refused" | "not-found",
  why: string,
  note?: string,
): Outcome {
  return {
    ...NO_ACTION,
    action,
    service: null,
    route: null,
    trace: [aside(false, why)],
    origins: [null],
    notes: note === undefined ? [] : [{ destination: null, text: note }],
  };
}

function routed(mesh: MeshView, found: CompiledVirtualHost<unknown>, head: RequestHead): Outcome {
  const { virtualHost } = found;
  const rules = looked(virtualHost, explainRoutes(found, head));
  const common = {
    service: virtualHost.service.host,
    trace: rules.map(({ rule }) => rule),
    origins: rules.map(({ origin }) => origin),
  };
  const matched = findRoute(found, head);
  if (matched === undefined) return { ...NO_ACTION, ...common, action: "not-found", route: null, notes: [] };
  return { ...common, ...explainAction(mesh, matched, head), route: routeOf(matched) };
}

function routeOf({ route: { origin, name } }: CompiledRoute<unknown>): Explanation["route"] {
  if (origin === null) return null;
  const { virtualService, rule, file, line } = origin;
  return { virtualService, rule, name, file, line };
}

/** Every rule up to the one that takes the request, with those that are for other callers where they are written. */
function looked(
  { skipped = [] }: VirtualHost,
  verdicts: readonly RouteVerdict[],
): { rule: ExplainedRule; origin: RouteOrigin | null }[] {
  const skippedBefore = (index: number) =>
    skipped.filter(({ before }) => before === index).map(({ origin, why }) => ({
      rule: { virtualService: origin.virtualService, rule: origin.rule, matched: false, why },
      origin,
    }));
  const rules = verdicts.flatMap((verdict, index) => [
    ...skippedBefore(index),
    { rule: traced(verdict), origin: verdict.route.origin },
  ]);
  return verdicts.at(-1)?.matched ? rules : [...rules, ...skippedBefore(verdicts.length)];
}

function traced({ route, matched, why }: RouteVerdict): ExplainedRule {
  if (route.origin === null) {
    return aside(matched, "no VirtualService has a rule for it: everything goes to the service itself");
  }
  const { virtualService, rule } = route.origin;
  return { virtualService, rule, matched, why };
}

/** What happens where no VirtualService has a say. */
function aside(matched: boolean, why: string): ExplainedRule {
  return { virtualService: null, rule: null, matched, why };
}
