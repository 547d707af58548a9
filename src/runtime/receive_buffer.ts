/**
 * Bounds what the kernel keeps of a connection. Bun takes all of it in one piece of up to 512 KiB, and whoever reads
 * slowly at the other end of the proxy has that piece lie in memory. On the machine itself a small buffer costs no speed;
 * over a distance, where one buffer comes in each round trip, it does, so the kernel may let a few there grow.
 */
import { isOpen, type Wire } from "./wire.ts";
import { setSocketOption } from "./socket_options.ts";

/** The kernel doubles it for its own bookkeeping; so much of it are bytes, at most. */
export const RECEIVE_BYTES = 64 * 1024;
/** Connections with other machines, at a time, that have no bound. */
export const UNBOUND_CONNECTIONS_MAX = 32;

// From asm-generic/socket.h.
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;

/** The connections with other machines that were left without a bound, when there was room for one more. */
export class UnboundConnections {
  readonly #wires = new Set<Wire>();

  /** Whether the connection is left as it is. One that has closed makes room when there is none. */
  admits(wire: Wire): boolean {
    if (wire.remoteAddress.startsWith("127.") || wire.remoteAddress === wire.localAddress) return false;
    if (this.#wires.size >= UNBOUND_CONNECTIONS_MAX) this.#forgetClosed();
    if (this.#wires.size >= UNBOUND_CONNECTIONS_MAX) return false;
    this.#wires.add(wire);
    return true;
  }

  #forgetClosed(): void {
    for (const wire of this.#wires) if (!isOpen(wire)) this.#wires.delete(wire);
  }
}

const unbound = new UnboundConnections();

/** Does nothing where the system does not do it: slow readers cost more there. */
export function boundReceiveBuffer(wire: Wire): void {
  // There is no address any more where the peer has closed already, and none of a socket in the file system.
  if ((wire.remoteAddress as string | undefined) === undefined || unbound.admits(wire)) return;
  setSocketOption(wire, SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES);
}
