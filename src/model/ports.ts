/** The mesh's well-known ports (Istio's, so that nothing has to be learnt anew). */
export const PORTS = {
  controlPlane: 15012,
  controlPlaneApi: 15014,
  outbound: 15001,
  inboundPlain: 15006,
  mesh: 15008,
  admin: 15000,
  health: 15021,
  metrics: 15090,
} as const;

export const PORT_MAX = 65_535;

/** Whether it is a number that a port can have; 0 is none. */
export function isPort(port: unknown): port is number {
  return Number.isInteger(port) && (port as number) >= 1 && (port as number) <= PORT_MAX;
}

/**
 * SMTP, DNS, MySQL and MongoDB: their servers speak first, so the first bytes of a client tell nothing. Istio takes them
 * for TCP unless the port says otherwise.
 */
export const SERVER_FIRST_PORTS: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);
