/** Where the service manager hears of a service: datagrams to the Unix socket `$NOTIFY_SOCKET` (sd_notify(3)). */
import { libcFunction } from "./libc.ts";

// From linux/socket.h, linux/un.h and linux/net.h.
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const PATH_BYTES_MAX = 107;

/** Sends lines of `NAME=value`; false: not now, since the manager has too much to read or is not there. Never waits. */
export type Notify = (lines: string) => boolean;

/** `name` is a path, or after `@` one of Linux' abstract names. Null: it is neither, or the system has no such sockets. */
export function openNotifySocket(name: string): Notify | null {
  const path = new TextEncoder().encode(name);
  if (!/^[/@]./.test(name) || path.length > PATH_BYTES_MAX) return null;
  if (name.startsWith("@")) path[0] = 0;
  const socket = libcFunction<(family: number, type: number, protocol: number) => number>("socket", {
    args: ["i32", "i32", "i32"],
    returns: "i32",
  });
  const sendto = libcFunction<
    (
      socket: number,
      data: Uint8Array,
      bytes: number,
      flags: number,
      to: Uint8Array,
      toBytes: number,
    ) => number | bigint
  >("sendto", { args: ["i32", "ptr", "usize", "i32", "ptr", "u32"], returns: "i64" });
  const descriptor = socket?.(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) ?? -1;
  if (sendto === null || descriptor < 0) return null;
  const sockaddr = new Uint8Array([...new Uint8Array(new Uint16Array([AF_UNIX]).buffer), ...path]);
  return (lines) => {
    const data = new TextEncoder().encode(lines);
    const sent = sendto(
      descriptor,
      data,
      data.length,
      MSG_DONTWAIT | MSG_NOSIGNAL,
      sockaddr,
      sockaddr.length,
    );
    return Number(sent) === data.length;
  };
}
