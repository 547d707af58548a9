/**
 * Bounds what the kernel keeps of a connection that stays on this machine. Bun takes all of it in one piece of up to
 * 512 KiB, and whoever reads slowly at the other end of the proxy has that piece lie in memory. On the machine itself a
 * small buffer costs no speed; over a distance it would.
 */
import { descriptorOf, type Wire } from "./socket.ts";

/** The kernel doubles it for its own bookkeeping; so much of it are bytes, at most. */
export const LOCAL_RECEIVE_BYTES = 64 * 1024;

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;

/** The C library, by the names that it has on Debian and its like, and on Alpine. */
const LIBC = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

type Setsockopt = (fd: number, level: number, name: number, value: Int32Array, length: number) => number;

/** Undefined: not looked for yet, since an idle process need not have it. */
let setsockopt: Setsockopt | null | undefined;

const value = Int32Array.of(LOCAL_RECEIVE_BYTES);

/** Does nothing for a peer on another machine, or where the C library is not found. */
export function boundLocalReceiveBuffer(wire: Wire): void {
  // There is none any more where the peer has closed already.
  const peer = wire.remoteAddress as string | undefined;
  if (peer === undefined || (!peer.startsWith("127.") && peer !== wire.localAddress)) return;
  setsockopt ??= load();
  setsockopt?.(descriptorOf(wire), SOL_SOCKET, SO_RCVBUF, value, value.byteLength);
}

function load(): Setsockopt | null {
  for (const name of LIBC) {
    try {
      const { dlopen } = import.meta.require("bun:ffi") as typeof import("bun:ffi");
      const signature = { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" } as const;
      return dlopen(name, { setsockopt: signature }).symbols.setsockopt as unknown as Setsockopt;
    } catch {
      // The next name; without any the program goes on, and slow readers cost more.
    }
  }
  return null;
}
