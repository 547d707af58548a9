/** The sockets that systemd hands over, or who does as it does (sd_listen_fds(3)): found by the environment. */
import { FIRST_DESCRIPTOR, INHERITED_SOCKETS_MAX, type InheritedSocket } from "./inherited_sockets.ts";
import { libcFunction } from "./libc.ts";
import { takeEnvironmentVariable } from "./process.ts";
import { addressIn, AF_INET, AF_INET6, SOCKADDR_BYTES_MAX } from "./sockaddr.ts";
import { readSocketOption } from "./socket_options.ts";
import type { Address } from "./wire.ts";

// From asm-generic/socket.h and linux/fcntl.h.
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
const F_DUPFD_CLOEXEC = 1030;

/** What was handed over cannot be used: the unit has to be corrected. */
export class ListenFdsError extends Error {
  override readonly name = "ListenFdsError";
  readonly code = "listen-fds";
}

/** Takes the variables out of the environment: they are for no child. Throws ListenFdsError. */
export function takeListenFds(): readonly InheritedSocket[] {
  const pid = takeEnvironmentVariable("LISTEN_PID");
  const count = takeEnvironmentVariable("LISTEN_FDS");
  const names = takeEnvironmentVariable("LISTEN_FDNAMES");
  // With another number they were for the process that started this one.
  if (count === undefined || pid !== String(process.pid)) return [];
  if (!/^\d{1,3}$/.test(count) || Number(count) > INHERITED_SOCKETS_MAX) {
    throw new ListenFdsError(
      `LISTEN_FDS is ${JSON.stringify(count)}, not a number up to ${INHERITED_SOCKETS_MAX}`,
    );
  }
  const called = names?.split(":") ?? [];
  return inheritSockets(Array.from({ length: Number(count) }, (_, i) => called[i] || "without a name"));
}

/** One for each name, from the first descriptor on. Throws ListenFdsError. */
export function inheritSockets(names: readonly string[]): readonly InheritedSocket[] {
  if (names.length === 0) return [];
  const addressOf = addressReader();
  return names.map((name, i) => {
    const descriptor = FIRST_DESCRIPTOR + i;
    const address = addressOf(descriptor);
    if (address !== null) return { address, name, duplicate: () => duplicate(descriptor) };
    throw new ListenFdsError(
      `Descriptor ${descriptor} (${name}) is no TCP socket that listens; nothing else can be inherited`,
    );
  });
}

/** What finds out where a descriptor listens; null: it is no socket that does, or not one of TCP. */
function addressReader(): (descriptor: number) => Address | null {
  const getsockname = libcFunction<(descriptor: number, address: Uint8Array, bytes: Uint32Array) => number>(
    "getsockname",
    { args: ["i32", "ptr", "ptr"], returns: "i32" },
  );
  const listens = new Uint8Array(Int32Array.BYTES_PER_ELEMENT);
  const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
  return (descriptor) => {
    if (!readSocketOption(descriptor, SOL_SOCKET, SO_ACCEPTCONN, listens) || listens[0] !== 1) return null;
    if (getsockname?.(descriptor, sockaddr, new Uint32Array([sockaddr.length])) !== 0) return null;
    const [family] = new Uint16Array(sockaddr.buffer, 0, 1);
    return family === AF_INET || family === AF_INET6 ? addressIn(sockaddr, family === AF_INET6) : null;
  };
}

/** Of which no child gets a copy. */
function duplicate(descriptor: number): number {
  const fcntl = libcFunction<(descriptor: number, command: number, from: number) => number>("fcntl", {
    args: ["i32", "i32", "i32"],
    returns: "i32",
  });
  const copy = fcntl?.(descriptor, F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR) ?? -1;
  if (copy < 0) throw new ListenFdsError("No descriptor is free for listening at an inherited socket");
  return copy;
}
