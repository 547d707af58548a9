/** Outlier detection for tests. */
import type { OutlierDetection } from "../../../../../src/model/outlier_detection.ts";

/** Istio's defaults, except that everybody may be ejected. */
export const OUTLIER: OutlierDetection = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 0,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionPercent: 100,
  minHealthPercent: 0,
  splitLocalOrigin: false,
  consecutiveLocalOriginFailures: 5,
  httpErrorCodes: [],
};
