/** The hosts at which a server of a Gateway and a VirtualService meet. */
import { hostMatches, resolveHost } from "./host.ts";
import type { GatewayServer } from "./schema/gateway.ts";

/** The side of the VirtualService; hosts in full, lower case. */
export interface RoutedHosts {
  readonly namespace: string;
  readonly hosts: readonly string[];
}

/** Each once; of two that overlap, the narrower. Lower case. */
export function sharedHosts(
  { namespace: own, server }: { readonly namespace: string; readonly server: GatewayServer },
  { namespace, hosts }: RoutedHosts,
): readonly string[] {
  const found = new Set<string>();
  for (const served of server.hosts) {
    const from = served.namespace === "." ? own : served.namespace;
    if (from !== "*" && from !== namespace) continue;
    const full = resolveHost(served.host, own);
    for (const host of hosts) {
      if (hostMatches(full, host)) found.add(host);
      else if (hostMatches(host, full)) found.add(full);
    }
  }
  return [...found];
}
