/** The mesh's well-known ports (Istio's, so that nothing has to be learnt anew). */
export const PORTS = {
  controlPlane: 15012,
  controlPlaneApi: 15014,
  outbound: 15001,
  mesh: 15008,
  admin: 15000,
  health: 15021,
  metrics: 15090,
} as const;
