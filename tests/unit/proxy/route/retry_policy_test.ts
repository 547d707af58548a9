import { describe, expect, test } from "bun:test";
import { RETRY_POLICY_DEFAULT } from "../../../../src/model/route.ts";
import { type AttemptFailure, CompiledRetryPolicy } from "../../../../src/proxy/route/retry_policy.ts";
import { retries } from "../routed_plane.ts";

function policy(retryOn: string[], retriableStatusCodes: number[] = []): CompiledRetryPolicy {
  return new CompiledRetryPolicy(retries({ retryOn, retriableStatusCodes }));
}

const FAILURES: readonly AttemptFailure[] = [
  "connect-failure",
  "connect-timeout",
  "peer-refused",
  "refused",
  "closed",
  "protocol-error",
  "attempt-timeout",
  "timeout",
  "cancelled",
];

const UNSENT: readonly AttemptFailure[] = ["connect-failure", "connect-timeout", "peer-refused"];
const RESETS = FAILURES.slice(0, 7);

describe("CompiledRetryPolicy.retriesFailure()", () => {
  const retried = (retryOn: string) =>
    FAILURES.filter((failure) => policy([retryOn]).retriesFailure(failure, !UNSENT.includes(failure)));

  test.each([
    ["connect-failure", UNSENT],
    ["refused-stream", ["refused"]],
    ["reset", RESETS],
    ["5xx", RESETS],
    ["gateway-error", RESETS],
    ["reset-before-request", UNSENT],
    ["retriable-4xx", []],
    ["retriable-status-codes", []],
    ["envoy-ratelimited", []],
    ["http3-post-connect-failure", []],
    ["unavailable", []],
    ["cancelled", []],
  ])("retries by %s after %p", (retryOn, failures) => {
    expect(retried(retryOn)).toEqual(failures as AttemptFailure[]);
  });
});

describe("CompiledRetryPolicy.retriesAnswer()", () => {
  const STATUSES = [200, 404, 409, 429, 500, 501, 502, 503, 504, 505];
  const retried = (one: CompiledRetryPolicy, headers: string[] = []) =>
    STATUSES.filter((status) => one.retriesAnswer(status, headers, false));

  test.each([
    ["5xx", [500, 501, 502, 503, 504, 505]],
    ["gateway-error", [502, 503, 504]],
    ["retriable-4xx", [409]],
    ["reset", []],
    ["connect-failure", []],
    // By itself it names no status.
    ["retriable-status-codes", []],
    ["unavailable", []],
  ])("retries by %s the statuses %p", (retryOn, statuses) => {
    expect(retried(policy([retryOn]))).toEqual(statuses);
  });

  test("retries the statuses that are listed, and no others", () => {
    expect(retried(policy(["reset"], [503, 429]))).toEqual([429, 503]);
  });

  test("the default retries no status, 503 least of all", () => {
    expect(retried(new CompiledRetryPolicy(RETRY_POLICY_DEFAULT))).toEqual([]);
  });

  test("retries what limits rates only if it is told so", () => {
    const limited = ["x-envoy-ratelimited", "true"];
    expect(retried(policy(["5xx"]), limited)).toEqual([]);
    expect(retried(policy(["envoy-ratelimited"]), limited)).toContain(429);
    expect(retried(policy(["envoy-ratelimited"]))).toEqual([]);
  });

  test.each([
    ["cancelled", "1"],
    ["deadline-exceeded", "4"],
    ["resource-exhausted", "8"],
    ["internal", "13"],
    ["unavailable", "14"],
  ])("retries by %s a gRPC status %s in the head, and no other", (retryOn, status) => {
    const one = policy([retryOn]);
    const answered = ["1", "2", "4", "8", "13", "14", "0"].filter((value) =>
      one.retriesAnswer(200, ["grpc-status", value], true)
    );
    expect(answered).toEqual([status]);
    expect(one.retriesAnswer(200, ["grpc-status", status], false)).toBe(false);
    expect(one.retriesAnswer(200, [], true)).toBe(false);
  });
});

describe("CompiledRetryPolicy.backoffMs()", () => {
  const range = (attempt: number) =>
    new CompiledRetryPolicy(RETRY_POLICY_DEFAULT).backoffMs(attempt, {
      float: () => 1,
      uint32: () => 0,
      below: () => 0,
    });

  test("doubles the range from the base on, up to the limit", () => {
    expect([1, 2, 3, 4, 5, 1_000].map(range)).toEqual([25, 75, 175, 250, 250, 250]);
  });
});

test("CompiledRetryPolicy.retryOn has conditions and statuses in one list", () => {
  expect(policy(["5xx", "reset"], [429, 503]).retryOn).toBe("5xx,reset,429,503");
});
