/** Has the kernel give up a connection at the other end of which there is no kernel any more (tcp(7), RFC 5482). */
import { setSocketOption } from "./socket_options.ts";
import type { Wire } from "./wire.ts";

// From linux/tcp.h.
const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;

/**
 * For how long what was sent may stay unacknowledged; then the wire closes. A peer that is slow to read acknowledges all
 * the same, until its buffers are full for so long. False where the system does not do it: a dead peer is found out later.
 */
export function setTcpUserTimeout(wire: Wire, ms: number): boolean {
  return setSocketOption(wire, IPPROTO_TCP, TCP_USER_TIMEOUT, ms);
}
