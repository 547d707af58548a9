/** Which host a call goes to, once its endpoint is chosen: by what the call is, and what its cluster asks for. */
import { type Cluster, isMeshHop } from "../../model/cluster.ts";
import type { Address } from "../../runtime/wire.ts";
import { hostOfAuthority, spokenTo } from "../cluster/authority_address.ts";
import type { CompiledCluster } from "../cluster/cluster.ts";
import type { ClusterEndpoint } from "../cluster/cluster_endpoint.ts";
import type { HostAddress } from "../cluster/connect_attempt.ts";
import type { Host } from "../cluster/host.ts";
import type { HostTable } from "../cluster/host_table.ts";
import type { ProxiedEnds } from "../cluster/proxy_protocol.ts";
import type { RequestHead } from "../exchange.ts";

/** A cluster, and what its connections count for. */
type PooledCluster = Pick<CompiledCluster, "cluster" | "limits" | "pool">;

export interface UpstreamHosts {
  readonly hosts: HostTable;
  /** An address that leads back to this proxy: passing a request on to it would never end. */
  isOwnAddress(hostname: string, port: number): boolean;
}

/**
 * A proxy understands CONNECT; a plain endpoint is what the tunnel leads to. `ends` are those of the client's connection,
 * where they are known. Null: it would lead back here.
 */
export function upstreamHost(
  head: RequestHead,
  ends: ProxiedEnds | null,
  chosen: ClusterEndpoint,
  to: PooledCluster,
  { hosts, isOwnAddress }: UpstreamHosts,
): Host | null {
  const { cluster, limits } = to;
  const { endpoint, host, http2Host } = chosen;
  if (cluster.resolution === "AUTHORITY") {
    const address = hostOfAuthority(head, endpoint, cluster);
    const leadsBack = address === null || isOwnAddress(address.hostname, address.port);
    return leadsBack ? null : hosts.passthrough({ ...address, ...ownTerms(head, ends, to) }, limits);
  }
  if (asksForTheCallsName(cluster) && endpoint.meshPort === null) {
    const { hostname, port } = host.address;
    const address = { hostname, port, ...spokenTo(head, cluster), ...ownTerms(head, ends, to) };
    return hosts.onBehalfOf(host, address, limits);
  }
  if (http2Host !== null && head.http2 === true && head.tunnel !== "connect") return http2Host;
  if (head.tunnel !== "connect" || isMeshHop(endpoint)) return host;
  if (tunnelOf(head, chosen, cluster) !== undefined) return host;
  return hosts.onBehalfOf(host, { ...host.address, ...ownTerms(head, ends, to), protocol: "tcp" }, limits);
}

/** Where the client was going, for a cluster that asks for no more. Null: it would lead back here. */
export function dialledHost(
  head: RequestHead,
  ends: ProxiedEnds | null,
  { hostname, port }: Address,
  to: PooledCluster,
  { hosts, isOwnAddress }: UpstreamHosts,
): Host | null {
  const { cluster, limits } = to;
  if (isOwnAddress(hostname, port)) return null;
  return hosts.passthrough(
    { hostname, port, ...spokenTo(head, cluster), ...ownTerms(head, ends, to) },
    limits,
  );
}

/** The HTTP proxy that bytes go through to a plain endpoint. */
export function tunnelOf(
  head: RequestHead,
  { endpoint }: ClusterEndpoint,
  { tunnel }: Cluster,
): Cluster["tunnel"] {
  return head.tunnel === "connect" && endpoint.meshPort === null ? tunnel : undefined;
}

/** In TLS, since a wildcard has no name of its own: hosts with the same endpoints share no connection. */
function asksForTheCallsName({ tls, service }: Cluster): boolean {
  return tls !== undefined && tls.sni === null && service.host.startsWith("*");
}

/** What a connection that is made for this call alone has of its cluster. */
function ownTerms(
  head: RequestHead,
  ends: ProxiedEnds | null,
  { cluster: { proxyProtocol: version }, pool }: PooledCluster,
): Pick<HostAddress, "pool" | "proxyProtocol"> {
  const pooled = pool === null ? {} : { pool };
  if (version === undefined) return pooled;
  // The header of PROXY protocol is the client's own where the connection is for it alone.
  return { ...pooled, proxyProtocol: { version, ends: head.tunnel === "connect" ? ends : null } };
}
