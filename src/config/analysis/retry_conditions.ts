/** BOW0058: conditions of retries that never hold. */
import { CODES } from "../codes.ts";
import type { RetryCondition, RetryOn } from "../schema/http_retry.ts";
import { type Analyzer, warning } from "./analyzer.ts";

export const retryConditions: Analyzer = function* ({ virtualServices }) {
  for (const resource of virtualServices) {
    for (const [index, { retries }] of resource.spec.http.entries()) {
      if (retries === null || retries.attempts === 0) continue;
      for (const condition of retries.retryOn.conditions) {
        const why = whyNever(condition, retries.retryOn);
        if (why === null) continue;
        const path = ["spec", "http", index, "retries", "retryOn"];
        yield warning(CODES.conditionWithoutEffect, resource, path, `${condition} never holds: ${why}`, null);
      }
    }
  }
};

function whyNever(condition: RetryCondition, { statusCodes }: RetryOn): string | null {
  switch (condition) {
    case "retriable-headers":
      return "a VirtualService has no place to name the headers";
    case "http3-post-connect-failure":
      return "nobody is called over HTTP/3";
    case "retriable-status-codes":
      return statusCodes.length > 0 ? null : 'no code is named beside it, as in "503"';
    default:
      return null;
  }
}
