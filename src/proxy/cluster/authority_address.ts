/** Where a request itself says that it wants to go: for hosts that the mesh does not know, and for wildcards. */
import { isPort } from "../../model/ports.ts";
import { parseIp } from "../../lib/ip.ts";
import type { Cluster, Endpoint } from "../../model/cluster.ts";
import type { RequestHead } from "../exchange.ts";
import { canonicalAuthority } from "../route/route_table.ts";
import type { HostAddress } from "./connect_attempt.ts";

/** Host and port of an authority; port 80 when it has none. Null: there is no host. */
export function splitAuthority(authority: string): { hostname: string; port: number } | null {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::([0-9]+))?$/.exec(canonicalAuthority(authority));
  if (match === null) return null;
  const port = match[3] === undefined ? 80 : Number(match[3]);
  return isPort(port) ? { hostname: (match[1] ?? match[2]) as string, port } : null;
}

/**
 * The request's host at the port of a wildcard's endpoint. Null: the request names no host of the wildcard. Rules may lead
 * any request here, and none is to choose freely where the proxy connects to.
 */
export function hostOfAuthority(
  head: RequestHead,
  { address: wildcard, port }: Endpoint,
  cluster: Cluster,
): HostAddress | null {
  const hostname = splitAuthority(head.authority)?.hostname;
  if (hostname === undefined || !hostname.endsWith(wildcard.slice(1))) return null;
  return { hostname, port, ...spokenTo(head, cluster) };
}

/**
 * How a server is spoken to that only the client knows. TLS asks for the host of the request and verifies it, unless the
 * cluster says otherwise; nobody puts an address into a server name.
 */
export function spokenTo(
  { authority, tunnel, http2 = false }: RequestHead,
  { protocol = "http1", followsClient, tls }: Cluster,
): Omit<HostAddress, "hostname" | "port"> {
  const spoken = followsClient ? (http2 ? "http2" : "http1") : protocol;
  const address = { spiffeId: null, protocol: tunnel === "connect" ? "tcp" : spoken } as const;
  if (tls === undefined) return address;
  const hostname = splitAuthority(authority)?.hostname ?? null;
  const sni = tls.sni ?? (hostname === null || parseIp(hostname) !== null ? null : hostname);
  const name = sni ?? hostname;
  const names = tls.names.length > 0 || name === null ? tls.names : [name];
  return { ...address, tls: { ...tls, sni, names } };
}
