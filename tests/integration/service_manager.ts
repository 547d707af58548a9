/**
 * What systemd does for a service, done by a test: it keeps listening sockets while the service restarts
 * (sd_listen_fds(3)), and hears how it is (sd_notify(3)).
 */
import { dlopen } from "bun:ffi";
import { afterwards, type StartOptions } from "./bowline.ts";

const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const MSG_DONTWAIT = 0x40;
const BACKLOG = 4_096;
const DATAGRAM_BYTES_MAX = 4_096;

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "usize", "i32"], returns: "i64" },
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
const NAMES = ["first.socket", "second.socket", "third.socket"];

/** Starts a process with these, as systemd does. */
export function withSockets(descriptors: readonly number[]): Pick<StartOptions, "within" | "descriptors"> {
  const variables = `LISTEN_PID=$$ LISTEN_FDS=${descriptors.length} LISTEN_FDNAMES=${
    NAMES.slice(0, descriptors.length).join(":")
  }`;
  return { within: ["sh", "-c", `export ${variables}; exec "$0" "$@"`], descriptors };
}

/** Where a service says how it is. */
export class NotifySocket {
  readonly #descriptor = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  readonly #buffer = new Uint8Array(DATAGRAM_BYTES_MAX);
  readonly #heard: string[] = [];

  /** A path, or one of Linux' abstract names with `@` before it. */
  constructor(name: string) {
    const path = new TextEncoder().encode(name.replace(/^@/, "\0"));
    const sockaddr = new Uint8Array([AF_UNIX, 0, ...path]);
    if (libc.bind(this.#descriptor, sockaddr, sockaddr.length) !== 0) throw new Error(`Cannot bind ${name}`);
    afterwards(() => libc.close(this.#descriptor));
  }

  /** Every datagram so far. */
  get heard(): readonly string[] {
    for (;;) {
      const bytes = Number(libc.recv(this.#descriptor, this.#buffer, this.#buffer.length, MSG_DONTWAIT));
      if (bytes <= 0) return this.#heard;
      this.#heard.push(new TextDecoder().decode(this.#buffer.subarray(0, bytes)));
    }
  }
}
