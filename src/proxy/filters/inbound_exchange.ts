/** A call to the own workload, from where its acceptor has found out where it goes. */
import type { RequestHead, ServerStream } from "../exchange.ts";
import type { AttemptFailure } from "../route/retry_policy.ts";
import type { ExchangeContext } from "./exchange_context.ts";
import { GuardedExchange } from "./guarded_exchange.ts";
import type { Target } from "./http_exchange.ts";
import { lostOnKeptConnection } from "./upstream_failure.ts";

/** A connection that the workload closed as the request was on its way is tried once more. */
const RETRIES_MAX = 1;

export class InboundExchange extends GuardedExchange {
  readonly #workload: string;
  #target: Target | null = null;

  constructor(
    context: ExchangeContext,
    workload: string,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
  ) {
    super(context, stream, head, ended);
    this.#workload = workload;
  }

  protected override prepare(target: Target): void {
    this.#target = target;
  }

  protected override afterFailure(
    attempt: number,
    failure: AttemptFailure,
    processed: boolean,
  ): Target | null {
    if (attempt > RETRIES_MAX || processed) return null;
    const again = failure === "refused" || lostOnKeptConnection(this.head, failure, processed);
    return again ? this.#target : null;
  }

  protected override backoffMs(): number {
    return 0;
  }

  /** The own workload is none. */
  protected override get upstreamIsProxy(): boolean {
    return false;
  }

  protected override get proxyName(): string {
    return `inbound ${this.#workload}`;
  }
}
