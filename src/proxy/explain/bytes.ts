/** Connections of which no request is read, in the words in which requests are explained. */
import { parseIp } from "../../lib/ip.ts";
import { RETRY_POLICY_DEFAULT, type SkippedRule } from "../../model/route.ts";
import { clusterName, type Endpoint } from "../../model/cluster.ts";
import type { Listener } from "../../model/snapshot.ts";
import { splitAuthority } from "../cluster/authority_address.ts";
import type { RequestHead } from "../exchange.ts";
import { edgeHost } from "../filters/gateway.ts";
import { type CompiledRoute, compileRoute } from "../route/compiled_route.ts";
import { type CompiledListener, ListenerTable, type Member } from "../route/listener_table.ts";
import { RouteTable } from "../route/route_table.ts";
import {
  type CompiledTcpRoute,
  explainTcpRoutes,
  findTcpRoute,
  type TcpVerdict,
} from "../route/tcp_route.ts";
import type { MeshView } from "./mesh_view.ts";

/** What the rules for bytes make of a connection. */
export interface BytesVerdict {
  /** Every rule up to the one that takes it. */
  readonly rules: readonly TcpVerdict[];
  /** Rules that are for other callers or ports. */
  readonly skipped: readonly SkippedRule[];
  /** Null: its rules are for others. */
  readonly route: CompiledRoute<null> | null;
}

/** The port of a service that a connection is for. */
export interface FoundPort {
  readonly listener: CompiledListener<null>;
  /** Whose own address was asked for; null: that of the service as a whole. */
  readonly endpoint: Endpoint | null;
  /** What TLS asks for, or who asks by name for a port that may carry it; null: nothing is known of it. */
  readonly serverName: string | null;
}

/** Where a sidecar finds TLS that its own program speaks. Null: no service that reads no requests has the name there. */
export function portOfTls(mesh: MeshView, authority: string, port: number): FoundPort | null {
  const serverName = edgeHost(authority);
  const listener = tableOf(mesh).byServerName(serverName, port);
  return listener === undefined ? null : { listener, endpoint: null, serverName };
}

/** Whether a request asks for a port at which only TLS is spoken. */
export function isForTls(mesh: MeshView, { authority }: Pick<RequestHead, "authority">): boolean {
  const address = splitAuthority(authority);
  return address !== null && tableOf(mesh).carriesTls(address.hostname, address.port);
}

/** The port of a service to one of whose networks, or endpoints, a request asks for an address. Null: to none. */
export function portOfAddress(
  mesh: MeshView,
  { authority }: Pick<RequestHead, "authority">,
): Pick<FoundPort, "listener" | "endpoint"> | null {
  const address = splitAuthority(authority);
  if (address === null || parseIp(address.hostname) === null) return null;
  return tableOf(mesh).byAddress(address.hostname, address.port) ?? null;
}

/** Where a sidecar finds bytes that ask for this host, or dial this address. Null: no service has it. */
export function portOfBytes(mesh: MeshView, hostname: string, port: number): FoundPort | null {
  const table = tableOf(mesh);
  const isAddress = parseIp(hostname) !== null;
  const asked = table.byAuthority(hostname, port);
  if (asked !== undefined) {
    return { listener: asked, endpoint: null, serverName: isAddress ? null : hostname };
  }
  if (isAddress) {
    const dialled = table.byAddress(hostname, port);
    return dialled === undefined ? null : { ...dialled, serverName: null };
  }
  const named = new RouteTable(mesh.virtualHosts, () => null).virtualHost(`${hostname}:${port}`);
  const listener = named && table.ofPort(port).find((one) => one.listener.name === named.virtualHost.name);
  return listener === undefined ? null : { listener, endpoint: null, serverName: null };
}

/** What its rules make of it; `address` is the one that was dialled, null where nobody knows. */
export function bytesVerdict(
  routes: readonly CompiledTcpRoute<null>[],
  skipped: readonly SkippedRule[] = [],
  serverName: string | null,
  address: string | null,
): BytesVerdict {
  const route = findTcpRoute(routes, serverName, address);
  const rules = explainTcpRoutes(routes, serverName, address);
  return { rules, skipped, route: route === undefined ? null : routeOfBytes(route) };
}

function tableOf({ listeners, endpoints }: MeshView): ListenerTable<null, Endpoint> {
  return new ListenerTable<null, Endpoint>(listeners.values(), {
    find: () => null,
    members: ({ port, service }: Listener): Member<Endpoint>[] =>
      (endpoints.get(clusterName(port, null, service.host)) ?? []).map((endpoint) => ({
        address: endpoint.address,
        port: endpoint.port,
        endpoint,
      })),
  });
}

/** Bytes are sent once. */
function routeOfBytes({ route: { origin, destinations } }: CompiledTcpRoute<null>): CompiledRoute<null> {
  const retries = { ...RETRY_POLICY_DEFAULT, attempts: 0 };
  return compileRoute(
    { name: null, origin, matches: [], action: { type: "forward", destinations, retries } },
    () => null,
  );
}
