/** Where a request itself says that it wants to go: for hosts that the mesh does not know, and for wildcards. */
import type { Cluster, Endpoint } from "../../model/snapshot.ts";
import type { RequestHead } from "../exchange.ts";
import { canonicalAuthority } from "../route/route_table.ts";
import type { HostAddress } from "./connect_attempt.ts";

/** Host and port of an authority; port 80 when it has none. Null: there is no host. */
export function splitAuthority(authority: string): { hostname: string; port: number } | null {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::([0-9]+))?$/.exec(canonicalAuthority(authority));
  if (match === null) return null;
  const port = match[3] === undefined ? 80 : Number(match[3]);
  return port > 0 && port < 65_536 ? { hostname: (match[1] ?? match[2]) as string, port } : null;
}

/**
 * The request's host at the port of a wildcard's endpoint. TLS asks for that host and verifies it, unless the cluster says
 * otherwise. Null: the request names no host of the wildcard. Rules may lead any request here, and none is to choose
 * freely where the proxy connects to.
 */
export function hostOfAuthority(
  { authority, tunnel, http2 = false }: RequestHead,
  { address: wildcard, port }: Endpoint,
  { protocol = "http1", followsClient, tls }: Cluster,
): HostAddress | null {
  const hostname = splitAuthority(authority)?.hostname;
  if (hostname === undefined || !hostname.endsWith(wildcard.slice(1))) return null;
  const spoken = followsClient ? (http2 ? "http2" : "http1") : protocol;
  const address = {
    hostname,
    port,
    spiffeId: null,
    protocol: tunnel === "connect" ? "tcp" : spoken,
  } as const;
  if (tls === undefined) return address;
  const sni = tls.sni ?? hostname;
  return { ...address, tls: { ...tls, sni, names: tls.names.length > 0 ? tls.names : [sni] } };
}
