/** OutlierDetection: which endpoints are left alone for a while, because they fail. */
import * as v from "valibot";
import { fields, list, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { duration, UINT32_MAX, wholeNumber, wholePercent } from "./numbers.ts";
import { wrong } from "./problem.ts";

const CONSECUTIVE_DEFAULT = 5;
const EJECTION_PERCENT_DEFAULT = 10;

const count = wholeNumber("a number of errors", 0, UINT32_MAX);
const status = wholeNumber("a status", 100, 599);

const deprecated: Schema<null> = v.pipe(
  v.unknown(),
  v.check(
    () => false,
    wrong(
      "consecutiveErrors is deprecated, and Istio ignores it",
      "use consecutive5xxErrors, or consecutiveGatewayErrors for 502, 503 and 504 alone",
    ),
  ),
  v.transform(() => null),
);

export const outlierDetection = v.pipe(
  fields({
    /** 0 never ejects. */
    consecutive5xxErrors: v.nullish(count, CONSECUTIVE_DEFAULT),
    /** Of 502, 503 and 504; null and 0 never eject. */
    consecutiveGatewayErrors: optional(count),
    /** Failures to connect and time-outs are counted by themselves. */
    splitExternalLocalOriginErrors: v.nullish(v.boolean(), false),
    consecutiveLocalOriginFailures: optional(count),
    interval: v.nullish(duration, "10s"),
    /** Multiplied by how often the endpoint was ejected. */
    baseEjectionTime: v.nullish(duration, "30s"),
    maxEjectionPercent: v.nullish(wholePercent, 0),
    /** Below it, ejected endpoints are used as well; 0 is never, unlike Envoy's 50. */
    minHealthPercent: v.nullish(wholePercent, 0),
    /** The statuses that count as errors, instead of 5xx; empty: 5xx. */
    outlierDetectionHttpErrorCodes: list(status),
    consecutiveErrors: optional(deprecated),
  }),
  v.check(
    (outlier) => outlier.splitExternalLocalOriginErrors || !outlier.consecutiveLocalOriginFailures,
    wrong("consecutiveLocalOriginFailures counts only with splitExternalLocalOriginErrors: true"),
  ),
  v.transform(({ consecutiveErrors: _, ...outlier }) => ({
    ...outlier,
    consecutiveLocalOriginFailures: outlier.consecutiveLocalOriginFailures ?? CONSECUTIVE_DEFAULT,
    maxEjectionPercent: outlier.maxEjectionPercent || EJECTION_PERCENT_DEFAULT,
  })),
);

export type OutlierDetection = Immutable<v.InferOutput<typeof outlierDetection>>;
