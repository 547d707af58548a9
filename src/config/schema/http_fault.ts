/** HTTPFaultInjection: requests that are delayed, or answered with an error, on purpose. */
import * as v from "valibot";
import { fields, optional } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { duration, percentage, wholeNumber, wholePercent } from "./numbers.ts";
import { wrong } from "./problem.ts";
import { oneOf } from "./scalars.ts";

/** The names of gRPC's statuses, in the order of their numbers: OK is 0. */
export const GRPC_STATUSES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

const HTTP_STATUS_MIN = 200;
const HTTP_STATUS_MAX = 599;

/** A status that a proxy may answer with. */
export const httpStatus = wholeNumber("a status", HTTP_STATUS_MIN, HTTP_STATUS_MAX);

/** Istio's Percent; absent, or empty, it is 0, never 100. */
const share = optional(v.pipe(
  fields({ value: v.nullish(percentage, 0) }),
  v.transform(({ value }) => value),
));

/** In what comes out, `percentage` also has what the deprecated `percent` says where it stands alone. */
const delay = v.pipe(
  fields({
    percentage: share,
    percent: optional(wholePercent),
    /** Before the request goes on. */
    fixedDelay: duration,
  }, ["exponentialDelay"]),
  v.transform(({ percentage, percent, fixedDelay }) => ({
    percentage: percentage ?? percent ?? 0,
    fixedDelay,
  })),
);

/** Exactly one of `httpStatus` and `grpcStatus` is not null. */
const abort = v.pipe(
  fields({
    percentage: share,
    httpStatus: optional(httpStatus),
    grpcStatus: optional(oneOf(GRPC_STATUSES, "a gRPC status")),
  }, ["http2Error"]),
  v.check(
    ({ httpStatus, grpcStatus }) => httpStatus === null || grpcStatus === null,
    wrong("has both httpStatus and grpcStatus; a request can be aborted in one way only"),
  ),
  v.check(
    ({ httpStatus, grpcStatus }) => httpStatus !== null || grpcStatus !== null,
    wrong("does not say what to answer", "add httpStatus: 503"),
  ),
  v.transform((abort) => ({ ...abort, percentage: abort.percentage ?? 0 })),
);

export const httpFault = v.pipe(
  fields({ delay: optional(delay), abort: optional(abort) }),
  v.check(
    ({ delay, abort }) => delay !== null || abort !== null,
    wrong("has neither delay nor abort", "add one of them"),
  ),
);

export type HttpFault = Immutable<v.InferOutput<typeof httpFault>>;
