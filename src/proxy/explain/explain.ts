/** Where a request would go, and why: what the proxy's own route table says of it. */
import { clusterName } from "../../model/cluster.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import type { RequestHead } from "../exchange.ts";
import { edgeHost, HTTPS_REDIRECT } from "../filters/gateway.ts";
import { isGrpc } from "../local_reply.ts";
import { type CompiledVirtualHost, explainRoutes, findRoute, RouteTable } from "../route/route_table.ts";
import { explainAction, NO_ACTION } from "./action.ts";
import { explainTokens, tokenAt } from "./authentication.ts";
import { explainAuthorization } from "./authorization.ts";
import type { Receiver } from "./receiver.ts";
import { isForTls, portOfAddress } from "./bytes.ts";
import { atEndpoint, inTcp, inTls, ofBytes } from "./bytes_outcome.ts";
import type { Explained, Explanation } from "./explanation.ts";
import { gatewayVerdict } from "./gateway.ts";
import { explainOwnPolicies, headAtEdge, noteOnClient } from "./gateway_policies.ts";
import { type MeshView, meshView } from "./mesh_view.ts";
import { noteOnUnknownName } from "./notes.ts";
import { aside, inTrace, looked, type Outcome, outside, routeOf, unrouted } from "./outcome.ts";
import { quote } from "./quote.ts";
import { type ExplainRequest, ExplainRequestError, type ExplainScheme } from "./request.ts";

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
  const isBytes = guarded === "tcp";
  const isAsked = isGateway && guarded !== undefined &&
    (isBytes || (token?.explained?.fault ?? null) === null);
  const own = isAsked ? explainOwnPolicies(mesh, entered, guarded) : null;
  const sent = { ...arrived, claims: token === null || token.forwarded ? request.claims : null };
  const authentication = isBytes
    ? []
    : [token?.explained ?? [], explainTokens(done.destinations, sent, receiver)].flat();
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
    authorization: explainAuthorization(mesh.settings, done, { ...sent, isBytes }, receiver),
    trace,
  };
  const clusters = explanation.destinations
    .map(({ host, port, subset }) => mesh.clusters.get(clusterName(port, subset, host)) ?? null);
  const { locality = null } = mesh.settings;
  const unknown = isGateway && request.client === null ? noteOnClient(mesh, done.destinations, receiver) : [];
  return {
    ...{ explanation, origins, clusters, isBytes, locality },
    isGrpc: isGrpc(request.head),
    notes: [...notes, ...unknown],
  };
}

function outcomeOf(mesh: MeshView, { head, scheme }: ExplainRequest): Outcome {
  if (mesh.gatewayListeners.length > 0) return atGateway(mesh, scheme, head);
  if (scheme === "https") return inTls(mesh, head);
  if (scheme === "tcp") return inTcp(mesh, head);
  const { workload } = mesh.settings;
  const table = new RouteTable(mesh.virtualHosts, () => null);
  const named = table.virtualHost(head.authority);
  const dialled = named === undefined ? portOfAddress(mesh, head) : null;
  const endpoint = dialled?.endpoint ?? null;
  if (dialled !== null && endpoint !== null && endpoint.meshPort !== null) {
    return atEndpoint(mesh, dialled.listener, endpoint);
  }
  const found = named ??
    (dialled?.endpoint === null ? table.virtualHost(dialled.listener.listener.name) : undefined);
  if (found === undefined && isForTls(mesh, head)) {
    const why =
      `${head.authority} is declared to carry TLS, and a request to it in plain text is answered 400`;
    return unrouted("refused", why);
  }
  if (found === undefined) {
    const why = `no service that ${workload.key} sees has the name ${quote(head.authority)}`;
    const note = noteOnUnknownName(mesh, head.authority);
    return unrouted(outside(mesh), why, note);
  }
  return routed(mesh, found, head);
}

function atGateway(mesh: MeshView, scheme: ExplainScheme, head: RequestHead): Outcome {
  const verdict = gatewayVerdict(mesh, scheme, head);
  const unbound = rulesUnbound(mesh, edgeHost(head.authority));
  switch (verdict.type) {
    case "host": {
      const { trace, origins, ...outcome } = routed(mesh, verdict.found, head);
      return {
        ...outcome,
        trace: [...unbound.trace, ...trace],
        origins: [...unbound.origins, ...origins],
        guarded: "http",
      };
    }
    case "refused":
      return unrouted(verdict.type, verdict.why);
    case "not-found": {
      const { trace, origins, ...outcome } = unrouted(verdict.type, verdict.why);
      return { ...outcome, trace: [...trace, ...unbound.trace], origins: [...origins, ...unbound.origins] };
    }
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
      const { found, what } = verdict;
      const none = { action: "refused", why: `no rule is for ${what}` } as const;
      return ofBytes(mesh, found, head, { service: null, what, none });
    }
  }
}

/** Of VirtualServices for the host that have no say at the gateway. */
function rulesUnbound({ settings: { unbound = [] } }: MeshView, host: string): ReturnType<typeof inTrace> {
  const named = unbound.filter(({ hosts }) => hosts.some((one) => isFor(one, host)));
  return inTrace(looked(named.flatMap(({ rules }) => rules), []));
}

/** Whether a host, or a wildcard, of a VirtualService is for that one. */
function isFor(named: string, host: string): boolean {
  return named === host || (named.startsWith("*") && host.endsWith(named.slice(1)));
}

function routed(mesh: MeshView, found: CompiledVirtualHost<unknown>, head: RequestHead): Outcome {
  const { virtualHost } = found;
  const rules = looked(virtualHost.skipped, explainRoutes(found, head));
  const common = { service: virtualHost.service.host, ...inTrace(rules) };
  const matched = findRoute(found, head);
  if (matched === undefined) return { ...NO_ACTION, ...common, action: "not-found", route: null, notes: [] };
  return { ...common, ...explainAction(mesh, matched, head), route: routeOf(matched) };
}
