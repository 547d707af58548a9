/** Whether a connection would come out at the proxy itself, which must not call itself. */
import type { ListenAddress } from "../runtime/socket.ts";
import type { CompiledSnapshot } from "./compiled_snapshot.ts";
import type { SidecarAddresses } from "./proxy_options.ts";

/** Whether a connection to there would come out at a listener of this proxy. */
export function isOwnAddress(
  hostname: string,
  port: number,
  own: SidecarAddresses | null,
  current: CompiledSnapshot | null,
): boolean {
  const addresses = Object.values(own ?? {}) as readonly ListenAddress[];
  const { address: here = null, doors = [] } = current?.settings ?? {};
  const isHere = (own: { readonly hostname: string; readonly port: number }) =>
    port === own.port && (hostname === here || leadsTo(hostname, own.hostname));
  return addresses.some(isHere) || doors.some(({ bind, port }) => isHere({ hostname: bind, port }));
}

/** Whether a connection to the host comes out at the own address; `0.0.0.0` is every address of the machine. */
function leadsTo(hostname: string, own: string): boolean {
  if (hostname === own) return true;
  const loopback = hostname === "localhost" || hostname === "::1" || hostname.startsWith("127.");
  return loopback && (own === "0.0.0.0" || (own === "127.0.0.1" && hostname === "localhost"));
}
