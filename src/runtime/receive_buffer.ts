/**
 * Bounds what the kernel keeps of a connection that stays on this machine. Bun takes all of it in one piece of up to
 * 512 KiB, and whoever reads slowly at the other end of the proxy has that piece lie in memory. On the machine itself a
 * small buffer costs no speed; over a distance it would.
 */
import type { Wire } from "./socket.ts";
import { setSocketOption } from "./socket_options.ts";

/** The kernel doubles it for its own bookkeeping; so much of it are bytes, at most. */
export const LOCAL_RECEIVE_BYTES = 64 * 1024;

// From asm-generic/socket.h.
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;

/** Does nothing for a peer on another machine, or where the system does not do it: slow readers cost more there. */
export function boundLocalReceiveBuffer(wire: Wire): void {
  // There is none any more where the peer has closed already.
  const peer = wire.remoteAddress as string | undefined;
  if (peer === undefined || (!peer.startsWith("127.") && peer !== wire.localAddress)) return;
  setSocketOption(wire, SOL_SOCKET, SO_RCVBUF, LOCAL_RECEIVE_BYTES);
}
