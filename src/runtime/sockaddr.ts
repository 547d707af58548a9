/** How the kernel writes addresses: sockaddr_in and sockaddr_in6, of linux/in.h and linux/in6.h. */
import { formatIp } from "../lib/ip.ts";
import type { Address } from "./wire.ts";

export const AF_INET = 2;
export const AF_INET6 = 10;

/** Family, port in network order, then the address, in IPv6 behind a flow label. */
export const SOCKADDR_BYTES_MAX = 28;
const V4_AT = 4;
const V6_AT = 8;

export function addressIn(sockaddr: Uint8Array, v6: boolean): Address {
  const address = v6 ? sockaddr.subarray(V6_AT, V6_AT + 16) : sockaddr.subarray(V4_AT, V4_AT + 4);
  return { hostname: formatIp(address), port: (sockaddr[2] as number) << 8 | (sockaddr[3] as number) };
}
