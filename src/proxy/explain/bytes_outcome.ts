/** What a sidecar does with connections of which it reads no request: TLS of its own program, and bytes. */
import { parseIp } from "../../lib/ip.ts";
import { clusterName, type Endpoint } from "../../model/cluster.ts";
import type { Address } from "../../runtime/wire.ts";
import { splitAuthority } from "../cluster/authority_address.ts";
import type { RequestHead } from "../exchange.ts";
import type { CompiledListener } from "../route/listener_table.ts";
import { formatAuthority } from "../../lib/authority.ts";
import { destinationOf, explainAction, NO_ACTION } from "./action.ts";
import { type BytesVerdict, bytesVerdict, type FoundPort, portOfBytes, portOfTls } from "./bytes.ts";
import { gatewayPort } from "./gateway.ts";
import type { MeshView } from "./mesh_view.ts";
import { noteOnUnknownName } from "./notes.ts";
import { aside, inTrace, looked, type Outcome, outside, routeOf, unrouted } from "./outcome.ts";
import { quote } from "./quote.ts";

/** TLS that the program speaks itself: rules for the name that it asks for decide, and none that reads requests. */
export function inTls(mesh: MeshView, head: RequestHead): Outcome {
  const found = portOfTls(mesh, head.authority, gatewayPort("https", head));
  if (found === null) {
    return unrouted(
      outside(mesh),
      "TLS of the application itself is not opened, so no HTTP rule applies to it",
    );
  }
  return atPort(mesh, found, head, `TLS for ${JSON.stringify(found.serverName)}`, null);
}

/** Bytes that were captured, or ask for the port by CONNECT. */
export function inTcp(mesh: MeshView, head: RequestHead): Outcome {
  const { hostname, port } = splitAuthority(head.authority) as Address;
  const found = portOfBytes(mesh, hostname, port);
  if (found === null) {
    const why = `no service that ${mesh.settings.workload.key} sees has ${quote(head.authority)}`;
    return unrouted(outside(mesh), why, noteOnUnknownName(mesh, head.authority));
  }
  const { service, protocol } = found.listener.listener;
  if (protocol === "http") {
    return unrouted(
      "refused",
      `port ${port} of ${service.host} carries HTTP, and bytes that are no request get 400`,
    );
  }
  const address = parseIp(hostname) === null ? null : hostname;
  const outcome = found.endpoint === null
    ? atPort(mesh, found, head, "bytes", address)
    : { ...atEndpoint(mesh, found.listener, found.endpoint), guarded: "tcp" as const };
  const note = protocol === "auto" && address === null ? [{ destination: null, text: ONLY_CAPTURED }] : [];
  return { ...outcome, notes: [...outcome.notes, ...note] };
}

const ONLY_CAPTURED =
  "So it is where the connection was captured. The port is not declared to carry bytes, so a CONNECT is led by the " +
  "rules for requests.";

/** By the rules of a service's port for bytes. */
function atPort(
  mesh: MeshView,
  { listener: { listener, routes }, serverName }: FoundPort,
  head: RequestHead,
  what: string,
  address: string | null,
): Outcome {
  const { service: { host: service }, port, skipped } = listener;
  const at = `at port ${port} of ${service}`;
  const found = bytesVerdict(routes, skipped, serverName, address);
  const none = { action: outside(mesh), why: `no rule ${at} is for ${what}` };
  return ofBytes(mesh, found, head, { service, what: `${what} ${at}`, none });
}

/** Whoever asks for an endpoint's own address gets it, whatever rules say. */
export function atEndpoint(
  mesh: MeshView,
  { listener: { service: { host }, port } }: CompiledListener<null>,
  { address, port: own }: Endpoint,
): Outcome {
  const why = `an endpoint of ${host}:${port} has that address itself, and no rule is asked`;
  const destination = destinationOf(mesh, { cluster: clusterName(port, null, host), weight: 1 }, 1);
  const endpoints = destination.endpoints.filter((one) =>
    one.address === formatAuthority({ hostname: address, port: own })
  );
  return {
    ...NO_ACTION,
    action: "forward",
    service: host,
    route: null,
    destinations: [{ ...destination, endpoints }],
    trace: [aside(true, why)],
    origins: [null],
    notes: [],
  };
}

/** As the rules for bytes say. */
export function ofBytes(
  mesh: MeshView,
  { rules, skipped, route }: BytesVerdict,
  head: RequestHead,
  { service, what, none }: {
    readonly service: string | null;
    readonly what: string;
    /** Where no rule takes them. */
    readonly none: { readonly action: "passthrough" | "blocked" | "refused"; readonly why: string };
  },
): Outcome {
  const taken = `${what}, of which no request is read`;
  const verdicts = rules.map(({ route, whyNot }) => ({
    route,
    matched: whyNot === null,
    why: whyNot ?? taken,
  }));
  const passedOver = looked(skipped, verdicts);
  if (route === null) {
    const all = [...passedOver, { rule: aside(false, none.why), origin: null }];
    return { ...unrouted(none.action, none.why), ...inTrace(all), guarded: "tcp" };
  }
  return {
    service,
    route: routeOf(route),
    ...inTrace(passedOver),
    ...explainAction(mesh, route, head),
    guarded: "tcp",
  };
}
