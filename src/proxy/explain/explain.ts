/** Where a request would go, and why: what the proxy's own route table says of it. */
import type { Snapshot, VirtualHost, WeightedCluster } from "../../model/snapshot.ts";
import { RETRIES_MAX } from "../filters/outbound.ts";
import { explainRoutes, RouteTable, type RouteVerdict } from "../route/route_table.ts";
import type {
  Explained,
  ExplainedDestination,
  ExplainedRule,
  ExplainNote,
  Explanation,
} from "./explanation.ts";
import { clusterParts, type MeshView, meshView } from "./mesh_view.ts";
import { noteOnCluster, noteOnUnknownName } from "./notes.ts";
import type { ExplainRequest } from "./request.ts";

/** Istio's words for the failures after which the proxy tries again. */
const RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled";

/** All of it, where a single destination says 0. */
const WEIGHT_WHOLE = 100;

/** What differs from one request to the next. */
type Outcome =
  & Pick<Explanation, "action" | "service" | "route" | "destinations" | "trace">
  & Omit<Explained, "explanation">;

/** What the proxy that has this snapshot would do with a request. Throws when the snapshot has no proxy settings. */
export function explain(snapshot: Snapshot, request: ExplainRequest): Explained {
  const mesh = meshView(snapshot);
  const { action, service, route, destinations, trace, origins, notes } = outcomeOf(mesh, request);
  const forwarded = action === "forward";
  const explanation: Explanation = {
    from: mesh.settings.workload.key,
    method: request.head.method,
    url: request.url,
    service,
    route,
    action,
    destinations,
    rewrite: null,
    redirect: null,
    directResponse: null,
    timeoutMs: null,
    retries: forwarded ? { attempts: RETRIES_MAX, retryOn: RETRY_ON, perTryTimeoutMs: null } : null,
    fault: null,
    mirrors: [],
    requestHeaders: { set: {}, add: {}, remove: [] },
    authorization: { decision: "allow", policy: null, reason: "no policy selects the workload" },
    trace,
  };
  return { explanation, origins, notes };
}

function outcomeOf(mesh: MeshView, { head, scheme }: ExplainRequest): Outcome {
  if (scheme === "https") {
    const why = "TLS of the application itself is not opened, so no HTTP rule applies to it";
    return unrouted("passthrough", why);
  }
  const { outboundPolicy, workload } = mesh.settings;
  const found = new RouteTable(mesh.virtualHosts, () => null).virtualHost(head.authority);
  if (found === undefined) {
    const why = `no service that ${workload.key} sees has the name ${JSON.stringify(head.authority)}`;
    const note = noteOnUnknownName(mesh, head.authority);
    return unrouted(outboundPolicy === "REGISTRY_ONLY" ? "blocked" : "passthrough", why, note);
  }
  return routed(mesh, found.virtualHost, explainRoutes(found, head));
}

function unrouted(action: "passthrough" | "blocked", why: string, note?: string): Outcome {
  return {
    action,
    service: null,
    route: null,
    destinations: [],
    trace: [aside(false, why)],
    origins: [null],
    notes: note === undefined ? [] : [{ destination: null, text: note }],
  };
}

function routed(mesh: MeshView, { service }: VirtualHost, verdicts: readonly RouteVerdict[]): Outcome {
  const looked = {
    service: service.host,
    trace: verdicts.map(traced),
    origins: verdicts.map(({ route }) => route.origin),
  };
  const matched = verdicts.find((verdict) => verdict.matched)?.route;
  if (matched === undefined) {
    return { ...looked, action: "not-found", route: null, destinations: [], notes: [] };
  }
  const { origin, name, action } = matched;
  const total = action.destinations.reduce((sum, { weight }) => sum + weight, 0);
  return {
    ...looked,
    action: "forward",
    route: origin === null ? null : {
      virtualService: origin.virtualService,
      rule: origin.rule,
      name,
      file: origin.file,
      line: origin.line,
    },
    destinations: action.destinations.map((destination) => destinationOf(mesh, destination, total)),
    notes: action.destinations.flatMap(({ cluster }, index): ExplainNote[] => {
      const text = noteOnCluster(mesh, cluster);
      return text === undefined ? [] : [{ destination: index, text }];
    }),
  };
}

function destinationOf(
  mesh: MeshView,
  { cluster, weight }: WeightedCluster,
  total: number,
): ExplainedDestination {
  const share = total === 0 ? WEIGHT_WHOLE : Math.round(weight * 10_000 / total) / 100;
  const endpoints = (mesh.endpoints.get(cluster) ?? []).map(({ address, port, workload, meshPort }) => ({
    address: `${address.includes(":") ? `[${address}]` : address}:${port}`,
    workload: workload.key,
    mtls: meshPort !== null,
  }));
  return { ...clusterParts(cluster), weight: share, endpoints };
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
