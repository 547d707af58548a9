/** When a proxy takes an endpoint out of its cluster because it fails. */

/** DestinationRule `outlierDetection`; a count of 0 switches that kind off. */
export interface OutlierDetection {
  readonly consecutive5xx: number;
  /** 502, 503, 504. */
  readonly consecutiveGatewayErrors: number;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  /** Of the cluster's endpoints. */
  readonly maxEjectionPercent: number;
  /** With fewer healthy endpoints than this, all are used (Envoy's panic threshold); 0: never. */
  readonly minHealthPercent: number;
  /** Failures of the connection are counted apart from answers. */
  readonly splitLocalOrigin: boolean;
  readonly consecutiveLocalOriginFailures: number;
  /** The statuses that count as errors, instead of 5xx; empty: 5xx. */
  readonly httpErrorCodes: readonly number[];
}
