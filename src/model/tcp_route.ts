/** What a proxy does with a connection of which it reads no request. */
import type { RouteOrigin, WeightedCluster } from "./route.ts";

/** Where bytes go (VirtualService `tcp` and `tls`). */
export interface TcpRoute {
  /** Null for the default route of a service; else `rule` counts from 0 in `tls[]` or `tcp[]`. */
  readonly origin: RouteOrigin | null;
  /** Alternatives; empty matches everything. Older snapshots do not say. @default [] */
  readonly matches?: readonly TcpMatch[];
  /** As in ForwardAction. */
  readonly destinations: readonly WeightedCluster[];
}

/** Both conditions must hold (VirtualService `TLSMatchAttributes` and `L4MatchAttributes`). */
export interface TcpMatch {
  /** Names of which TLS asks for one, lower case, `*.example.com` too; empty: any, and bytes that are no TLS. */
  readonly serverNames: readonly string[];
  /** IP addresses and networks of which the dialled address is in one; empty: any. */
  readonly addresses: readonly string[];
}
