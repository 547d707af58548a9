/**
 * Where a connection was going before the kernel's packet filter redirected it to one of our listeners: netfilter's
 * SO_ORIGINAL_DST.
 */
import { addressIn, SOCKADDR_BYTES_MAX } from "./sockaddr.ts";
import { readSocketOption } from "./socket_options.ts";
import { type Address, descriptorOf, type Wire } from "./wire.ts";

// From linux/in.h, linux/in6.h and linux/netfilter_ipv4.h.
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;

const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);

/** How the data plane asks; tests answer instead of a kernel. */
export type OriginalDestination = (wire: Wire) => Address | null;

/** Null: the connection was dialled as it arrived, or nothing can be known about it. Takes a microsecond. */
export const originalDestination: OriginalDestination = (wire) => {
  const { localAddress, localPort } = wire;
  const v6 = localAddress.includes(":") && !localAddress.startsWith("::ffff:");
  // Fails where nothing tracks connections, or not this one.
  if (!readSocketOption(descriptorOf(wire), v6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, sockaddr)) return null;
  const { hostname, port } = addressIn(sockaddr, v6);
  // A tracked connection that nobody redirected was going to where it arrived.
  const here = localAddress.startsWith("::ffff:") ? localAddress.slice("::ffff:".length) : localAddress;
  return hostname === here && port === localPort ? null : { hostname, port };
};
