/**
 * Lets the kernel ask whether the peer of a quiet TCP connection is still there. Bun sets one of the three numbers
 * alone.
 */
import type { Wire } from "./wire.ts";
import { setSocketOption } from "./socket_options.ts";

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

export interface TcpKeepalive {
  /** Probes without an answer before the connection is dead. @default the system's */
  readonly probes?: number;
  /** Silence before the first probe, rounded up to seconds. @default the system's */
  readonly timeMs?: number;
  /** Between probes, rounded up to seconds. @default the system's */
  readonly intervalMs?: number;
}

/** False where the system does not do it: a dead peer is found out later. */
export function setTcpKeepalive(wire: Wire, { probes, timeMs, intervalMs }: TcpKeepalive): boolean {
  let done = setSocketOption(wire, SOL_SOCKET, SO_KEEPALIVE, 1);
  const set = (option: number, value: number) => {
    done = setSocketOption(wire, IPPROTO_TCP, option, value) && done;
  };
  if (timeMs !== undefined) set(TCP_KEEPIDLE, seconds(timeMs));
  if (intervalMs !== undefined) set(TCP_KEEPINTVL, seconds(intervalMs));
  if (probes !== undefined) set(TCP_KEEPCNT, clamp(probes, PROBES_MAX));
  return done;
}

function seconds(ms: number): number {
  return clamp(Math.ceil(ms / 1_000), SECONDS_MAX);
}

function clamp(number: number, max: number): number {
  return Math.max(1, Math.min(number, max));
}
