/** What systemd does for a service, done by a test: it keeps the listening socket while the service restarts (sd_listen_fds(3)). */
import { dlopen } from "bun:ffi";
import { afterwards, type StartOptions } from "./bowline.ts";

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const BACKLOG = 4_096;

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
});

/** A descriptor that listens, and at which nobody accepts. */
export function keepSocket(address: string, port: number): number {
  const descriptor = libc.socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr = new Uint8Array([
    AF_INET,
    0,
    port >> 8,
    port & 0xff,
    ...address.split(".").map(Number),
    ...new Uint8Array(8),
  ]);
  const done = [
    libc.setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, new Int32Array([1]), Int32Array.BYTES_PER_ELEMENT),
    libc.bind(descriptor, sockaddr, sockaddr.length),
    libc.listen(descriptor, BACKLOG),
  ];
  if (done.some((result) => result !== 0)) throw new Error(`Cannot listen on ${address}:${port}`);
  afterwards(() => libc.close(descriptor));
  return descriptor;
}

/** What units are called that keep a socket each. */
const NAMES = ["first.socket", "second.socket"];

/** Starts a process with these, as systemd does. */
export function withSockets(descriptors: readonly number[]): Pick<StartOptions, "within" | "descriptors"> {
  const variables = `LISTEN_PID=$$ LISTEN_FDS=${descriptors.length} LISTEN_FDNAMES=${
    NAMES.slice(0, descriptors.length).join(":")
  }`;
  return { within: ["sh", "-c", `export ${variables}; exec "$0" "$@"`], descriptors };
}
