/** A port that a gateway, or a sidecar by its Sidecar, should have open and cannot open. */

export interface ShutPort {
  /** 0: a socket. */
  readonly port: number;
  /** As the proxy's log has it. */
  readonly reason: string;
}

/** A proxy tells no more than these, and no longer reasons: they are shown to people and kept in memory. */
export const SHUT_PORTS_MAX = 64;
export const SHUT_PORT_REASON_LENGTH_MAX = 256;

/** What a proxy said of its ports, cut to what is kept; undefined: it is no such list. */
export function readShutPorts(value: unknown): readonly ShutPort[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const ports = value.slice(0, SHUT_PORTS_MAX) as Partial<ShutPort | null>[];
  if (!ports.every((one) => Number.isInteger(one?.port) && typeof one?.reason === "string")) return undefined;
  return (ports as ShutPort[]).map(({ port, reason }) => ({
    port,
    reason: reason.slice(0, SHUT_PORT_REASON_LENGTH_MAX),
  }));
}
