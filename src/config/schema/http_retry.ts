/** HTTPRetry: how often a request is tried again, after which failures, and how soon. */
import * as v from "valibot";
import { nearest } from "../../lib/edit_distance.ts";
import { across } from "./across.ts";
import { fields, optional, type Schema } from "./fields.ts";
import type { Immutable } from "./immutable.ts";
import { duration, durationOrZero, INT32_MAX, wholeNumber } from "./numbers.ts";
import { wrong } from "./problem.ts";

/** Conditions of Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on`. */
const RETRY_CONDITIONS = [
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "envoy-ratelimited",
  "http3-post-connect-failure",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
] as const;

export type RetryCondition = (typeof RETRY_CONDITIONS)[number];

/** What a request is tried again after. A number in Istio's list is a status that an upstream really answered. */
export interface RetryOn {
  readonly conditions: readonly RetryCondition[];
  readonly statusCodes: readonly number[];
}

/** Istio's, wherever nothing is said (503 is not among them since 1.24). */
const RETRY_ON_DEFAULT: RetryOn = {
  conditions: ["connect-failure", "refused-stream", "unavailable", "cancelled"],
  statusCodes: [],
};

/** Istio's base interval of the exponential back-off. */
const RETRY_BACKOFF_DEFAULT_MS = 25;

const STATUS = /^[1-5]\d\d$/;

const retryOn: Schema<RetryOn> = v.pipe(
  v.string(),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const part of partsOf(dataset.value)) {
      if (isCondition(part) || STATUS.test(part)) continue;
      const meant = nearest(part, RETRY_CONDITIONS);
      const hint = meant === undefined
        ? `use ${RETRY_CONDITIONS.join(", ")}, or a status`
        : `did you mean "${meant}"?`;
      addIssue({ message: wrong(`"${part}" is not a condition for a retry`, hint) });
    }
  }),
  v.transform((written): RetryOn => {
    const parts = partsOf(written);
    if (parts.length === 0) return RETRY_ON_DEFAULT;
    return {
      conditions: parts.filter(isCondition),
      statusCodes: parts.filter((part) => STATUS.test(part)).map(Number),
    };
  }),
);

const written = fields({
  /** Tries after the first. */
  attempts: v.nullish(wholeNumber("attempts", 0, INT32_MAX), 0),
  perTryTimeout: optional(durationOrZero),
  retryOn: optional(retryOn),
  retryRemoteLocalities: optional(v.boolean() as Schema<boolean>),
  retryIgnorePreviousHosts: v.nullish(v.boolean(), true),
  /** The base interval. */
  backoff: v.nullish(duration, `${RETRY_BACKOFF_DEFAULT_MS}ms`),
});

/**
 * In what comes out, `attempts` 0 is no retries (which is what a block without `attempts` says, too), and
 * `perTryTimeout` null is as long as the whole request may take.
 */
export const httpRetry = v.pipe(
  written,
  across(function* (retry: v.InferOutput<typeof written>) {
    if (retry.attempts > 0) return;
    for (const field of ["perTryTimeout", "retryOn", "retryRemoteLocalities"] as const) {
      if (retry[field] === null) continue;
      yield {
        message: wrong("attempts is 0, which switches retries off, so this says nothing", "add attempts: 2"),
        at: [field],
      };
    }
  }),
  v.transform((retry) => ({
    ...retry,
    perTryTimeout: retry.perTryTimeout === 0 ? null : retry.perTryTimeout,
    retryOn: retry.retryOn ?? RETRY_ON_DEFAULT,
    retryRemoteLocalities: retry.retryRemoteLocalities ?? false,
  })),
);

export type HttpRetry = Immutable<v.InferOutput<typeof httpRetry>>;

function isCondition(text: string): text is RetryCondition {
  return (RETRY_CONDITIONS as readonly string[]).includes(text);
}

function partsOf(list: string): string[] {
  return list.split(",").map((part) => part.trim()).filter((part) => part !== "");
}
