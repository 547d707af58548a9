/** BOW0013 to BOW0015 and BOW0045: retries and faults that do nothing, or less than they seem to. */
import { CODES } from "../codes.ts";
import type { Finding } from "../finding.ts";
import type { ConfigResource } from "../resource.ts";
import type { HttpRule } from "../schema/http_rule.ts";
import { type Analyzer, isWritten, notice, warning } from "./analyzer.ts";

export const resilience: Analyzer = function* ({ virtualServices }) {
  for (const resource of virtualServices) {
    for (const [index, rule] of resource.spec.http.entries()) {
      yield* retriesOff(resource, index, rule);
      yield* attemptsOutlast(resource, index, rule);
      yield* faultsOff(resource, index, rule);
    }
  }
};

function* retriesOff(
  resource: ConfigResource<unknown>,
  index: number,
  { retries }: HttpRule,
): Generator<Finding> {
  const path = ["spec", "http", index, "retries"];
  if (retries === null || retries.attempts > 0 || isWritten(resource, [...path, "attempts"])) return;
  const message = "retries without attempts switch retries off, also those that Istio makes by default";
  yield warning(CODES.retriesOff, resource, path, message, "add attempts:");
}

function* attemptsOutlast(
  resource: ConfigResource<unknown>,
  index: number,
  { retries, timeout }: HttpRule,
): Generator<Finding> {
  const perTry = retries?.perTryTimeout ?? null;
  if (perTry === null || timeout === null || perTry < timeout) return;
  const path = ["spec", "http", index, "retries", "perTryTimeout"];
  const message =
    `the whole request, with all attempts, has ${timeout} ms, so that no attempt is cut short at ${perTry}`;
  yield warning(CODES.attemptsOutlast, resource, path, message, "make it shorter, or the timeout longer");
}

function* faultsOff(
  resource: ConfigResource<unknown>,
  index: number,
  { fault, timeout, retries }: HttpRule,
): Generator<Finding> {
  const path = ["spec", "http", index, "fault"];
  for (const kind of ["abort", "delay"] as const) {
    const one = fault?.[kind] ?? null;
    if (one === null || one.percentage > 0) continue;
    // An explicit 0 is how a fault is switched off.
    if (["percentage", "percent"].some((field) => isWritten(resource, [...path, kind, field]))) continue;
    const message = `a fault without a percentage concerns 0 % of the requests`;
    yield warning(
      CODES.faultWithoutPercentage,
      resource,
      [...path, kind],
      message,
      "add percentage: {value: 100}",
    );
  }
  for (const [field, value] of Object.entries({ timeout, retries })) {
    if (fault === null || value === null) continue;
    const message = "has no effect at the callers in a rule with faults, as in Istio";
    yield notice(CODES.faultWithoutTimeout, resource, ["spec", "http", index, field], message, null);
  }
}
