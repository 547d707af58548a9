/** Envoy's response flags, one name each (semantics of `%RESPONSE_FLAGS%`); several are joined by commas. */
export const FLAG = {
  none: "-",
  noRoute: "NR",
  noCluster: "NC",
  noHealthyUpstream: "UH",
  upstreamConnectFailure: "UF",
  upstreamReset: "UR",
  upstreamClosed: "UC",
  upstreamProtocolError: "UPE",
  upstreamTimeout: "UT",
  dnsFailure: "DF",
  /** A limit of the cluster. */
  overflow: "UO",
  /** A limit of the proxy itself (Envoy's overload manager). */
  overload: "OM",
  delayInjected: "DI",
  faultInjected: "FI",
  retryLimitExceeded: "URX",
  /** Whoever is asked by a policy denied it, or could not be asked. */
  externalDenial: "UAEX",
  downstreamClosed: "DC",
  downstreamProtocolError: "DPE",
  streamIdleTimeout: "SI",
  /** The proxy itself broke it off: a worker of it crashed. */
  localReset: "LR",
} as const;
