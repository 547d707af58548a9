/** What stands before the gateways of the mesh (MeshConfig `defaultConfig.gatewayTopology`). */
export interface GatewayTopology {
  /**
   * Proxies between clients and gateways, each of which adds the end of its connection to `x-forwarded-for`. A gateway
   * believes as many entries, from the end, and their `x-forwarded-proto`.
   */
  readonly trustedProxies: number;
  /** What becomes of a client's `x-forwarded-client-cert`. */
  readonly clientCert: ClientCertForwarding;
}

/**
 * As in Envoy. SANITIZE drops it; SANITIZE_SET says the client's own certificate instead; FORWARD_ONLY and APPEND_FORWARD
 * leave that of clients that showed a certificate, alone or with theirs added; ALWAYS_FORWARD_ONLY that of everybody.
 */
export type ClientCertForwarding = typeof CLIENT_CERT_FORWARDING[number];

export const CLIENT_CERT_FORWARDING = [
  "SANITIZE",
  "FORWARD_ONLY",
  "APPEND_FORWARD",
  "SANITIZE_SET",
  "ALWAYS_FORWARD_ONLY",
] as const;

/** Clients call gateways themselves, and nothing that they say of others is believed. */
export const NO_PROXIES_BEFORE: GatewayTopology = { trustedProxies: 0, clientCert: "SANITIZE_SET" };
