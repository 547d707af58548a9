/**
 * Where a connection was going before the kernel's packet filter redirected it to one of our listeners: netfilter's
 * SO_ORIGINAL_DST, which Bun does not have, so libc is asked.
 */
import { formatIp } from "../lib/ip.ts";
import { type Address, descriptorOf, type Wire } from "./socket.ts";

// From linux/in.h, linux/in6.h and linux/netfilter_ipv4.h.
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;

/** sockaddr_in and sockaddr_in6: family, port in network order, then the address, in IPv6 behind a flow label. */
const SOCKADDR_BYTES_MAX = 28;
const V4_AT = 4;
const V6_AT = 8;

/** glibc, and musl on x64 and arm64. */
const LIBC = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

type Getsockopt = (
  descriptor: number,
  level: number,
  option: number,
  value: Uint8Array,
  length: Uint32Array,
) => number;

/** Undefined until the first connection: an idle process does not pay the megabyte. Null: there is no way to ask. */
let getsockopt: Getsockopt | null | undefined;

const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
const length = new Uint32Array(1);

/** How the data plane asks; tests answer instead of a kernel. */
export type OriginalDestination = (wire: Wire) => Address | null;

/** Null: the connection was dialled as it arrived, or nothing can be known about it. Takes a microsecond. */
export const originalDestination: OriginalDestination = (wire) => {
  if (getsockopt === undefined) getsockopt = load();
  if (getsockopt === null) return null;
  const { localAddress, localPort } = wire;
  const v6 = localAddress.includes(":") && !localAddress.startsWith("::ffff:");
  length[0] = SOCKADDR_BYTES_MAX;
  // Fails where nothing tracks connections, or not this one.
  if (getsockopt(descriptorOf(wire), v6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, sockaddr, length) !== 0) {
    return null;
  }
  const address = v6 ? sockaddr.subarray(V6_AT, V6_AT + 16) : sockaddr.subarray(V4_AT, V4_AT + 4);
  const hostname = formatIp(address);
  const port = (sockaddr[2] as number) << 8 | (sockaddr[3] as number);
  // A tracked connection that nobody redirected was going to where it arrived.
  const here = localAddress.startsWith("::ffff:") ? localAddress.slice("::ffff:".length) : localAddress;
  return hostname === here && port === localPort ? null : { hostname, port };
};

function load(): Getsockopt | null {
  for (const name of LIBC) {
    try {
      const { dlopen } = import.meta.require("bun:ffi") as typeof import("bun:ffi");
      const signature = { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" } as const;
      return dlopen(name, { getsockopt: signature }).symbols.getsockopt as unknown as Getsockopt;
    } catch {
      // The next name; without any the program goes on, and nothing counts as captured.
    }
  }
  return null;
}
