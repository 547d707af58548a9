/**
 * Lets the kernel ask whether the peer of a quiet TCP connection is still there. Bun sets one of the three numbers alone,
 * so libc is asked.
 */
import { descriptorOf, type Wire } from "./socket.ts";

// From asm-generic/socket.h and linux/tcp.h.
const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;

/** The kernel's greatest. */
const SECONDS_MAX = 32_767;
const PROBES_MAX = 127;

/** glibc, and musl on x64 and arm64. */
const LIBC = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

export interface TcpKeepalive {
  /** Probes without an answer before the connection is dead. @default the system's */
  readonly probes?: number;
  /** Silence before the first probe, rounded up to seconds. @default the system's */
  readonly timeMs?: number;
  /** Between probes, rounded up to seconds. @default the system's */
  readonly intervalMs?: number;
}

type Setsockopt = (
  descriptor: number,
  level: number,
  option: number,
  value: Int32Array,
  length: number,
) => number;

/** Undefined until it is asked for: loading it takes a megabyte. Null: there is no way to ask. */
let setsockopt: Setsockopt | null | undefined;

const value = new Int32Array(1);

/** False where the system does not do it. */
export function setTcpKeepalive(wire: Wire, keepalive: TcpKeepalive): boolean {
  if (setsockopt === undefined) setsockopt = load();
  const set = setsockopt;
  if (set === null) return false;
  const descriptor = descriptorOf(wire);
  const write = (level: number, option: number, number: number) => {
    value[0] = number;
    return set(descriptor, level, option, value, value.byteLength) === 0;
  };
  const { probes, timeMs, intervalMs } = keepalive;
  let done = write(SOL_SOCKET, SO_KEEPALIVE, 1);
  if (timeMs !== undefined) done = write(IPPROTO_TCP, TCP_KEEPIDLE, seconds(timeMs)) && done;
  if (intervalMs !== undefined) done = write(IPPROTO_TCP, TCP_KEEPINTVL, seconds(intervalMs)) && done;
  if (probes !== undefined) done = write(IPPROTO_TCP, TCP_KEEPCNT, clamp(probes, PROBES_MAX)) && done;
  return done;
}

function seconds(ms: number): number {
  return clamp(Math.ceil(ms / 1_000), SECONDS_MAX);
}

function clamp(number: number, max: number): number {
  return Math.max(1, Math.min(number, max));
}

function load(): Setsockopt | null {
  for (const name of LIBC) {
    try {
      const { dlopen } = import.meta.require("bun:ffi") as typeof import("bun:ffi");
      const signature = { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" } as const;
      return dlopen(name, { setsockopt: signature }).symbols.setsockopt as unknown as Setsockopt;
    } catch {
      // The next name; without any the kernel does not ask, and a dead peer is found out later.
    }
  }
  return null;
}
