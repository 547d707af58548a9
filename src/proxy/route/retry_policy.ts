/** When a request is sent again: Envoy's retry conditions, compiled. The proxy asks it, and nothing else decides. */
import type { Random } from "../../lib/prng.ts";
import type { RetryPolicy } from "../../model/route.ts";
import { type HeaderList, headerValue, type ResetReason } from "../exchange.ts";

/** How an attempt ended before its answer began; `attempt-timeout` is the policy's own per-try timeout. */
export type AttemptFailure = ResetReason | "attempt-timeout";

/** gRPC statuses by the names that Envoy's conditions have. */
const GRPC_CONDITIONS: Readonly<Record<string, string>> = {
  cancelled: "1",
  "deadline-exceeded": "4",
  "resource-exhausted": "8",
  internal: "13",
  unavailable: "14",
};

const CONFLICT = 409;
const RATE_LIMITED_HEADER = "x-envoy-ratelimited";

export class CompiledRetryPolicy {
  readonly attempts: number;
  readonly perTryTimeoutMs: number | null;
  readonly avoidPreviousHosts: boolean;
  readonly remoteLocalities: boolean;
  /** All that is retried, as one list: conditions and statuses. */
  readonly retryOn: string;
  readonly #conditions: ReadonlySet<string>;
  readonly #statuses: ReadonlySet<number>;
  readonly #grpcStatuses: ReadonlySet<string>;
  readonly #backoffBaseMs: number;
  readonly #backoffMaxMs: number;
  /** No answer of plain HTTP is retried: the usual case. */
  readonly #answersStand: boolean;

  constructor(policy: RetryPolicy) {
    this.attempts = policy.attempts;
    this.perTryTimeoutMs = policy.perTryTimeoutMs;
    this.avoidPreviousHosts = policy.avoidPreviousHosts;
    this.remoteLocalities = policy.remoteLocalities;
    this.retryOn = [...policy.retryOn, ...policy.retriableStatusCodes].join();
    this.#conditions = new Set(policy.retryOn);
    this.#statuses = new Set(policy.retriableStatusCodes);
    this.#grpcStatuses = new Set(policy.retryOn.flatMap((name) => GRPC_CONDITIONS[name] ?? []));
    this.#backoffBaseMs = policy.backoffBaseMs;
    this.#backoffMaxMs = policy.backoffMaxMs;
    this.#answersStand = this.#statuses.size === 0 &&
      !["5xx", "gateway-error", "retriable-4xx", "envoy-ratelimited"].some((name) => this.#has(name));
  }

  /** Whether to try again after an attempt that came to no answer. `sent`: the upstream may have seen the request. */
  retriesFailure(failure: AttemptFailure, sent: boolean): boolean {
    switch (failure) {
      // The upstream was silent for minutes: nobody waits for that twice.
      case "timeout":
      case "cancelled":
        return false;
      case "connect-failure":
      case "connect-timeout":
      case "peer-refused":
        return this.#has("connect-failure") || this.#retriesResets(sent);
      case "refused":
        return this.#has("refused-stream") || this.#retriesResets(sent);
      default:
        return this.#retriesResets(sent);
    }
  }

  /** Whether to try again after this head of an answer. */
  retriesAnswer(status: number, headers: HeaderList, grpc: boolean): boolean {
    if (this.#answersStand && !(grpc && this.#grpcStatuses.size > 0)) return false;
    // Whoever limits rates says so, and does not want to be asked again.
    if (status >= 400 && headerValue(headers, RATE_LIMITED_HEADER) !== undefined) {
      return this.#has("envoy-ratelimited");
    }
    if (status >= 500 && this.#has("5xx")) return true;
    if (status >= 502 && status <= 504 && this.#has("gateway-error")) return true;
    if (status === CONFLICT && this.#has("retriable-4xx")) return true;
    if (this.#statuses.has(status)) return true;
    return grpc && this.#grpcStatuses.has(headerValue(headers, "grpc-status") ?? "");
  }

  /** How long the attempt waits, which counts from 1: Envoy's fully jittered exponential back-off. */
  backoffMs(attempt: number, random: Random): number {
    const rangeMs = (2 ** Math.min(attempt, 30) - 1) * this.#backoffBaseMs;
    return random.float() * Math.min(rangeMs, this.#backoffMaxMs);
  }

  /** A reset counts as the 5xx that it would end in. */
  #retriesResets(sent: boolean): boolean {
    return this.#has("reset") || this.#has("5xx") || this.#has("gateway-error") ||
      (!sent && this.#has("reset-before-request"));
  }

  #has(name: string): boolean {
    return this.#conditions.has(name);
  }
}
