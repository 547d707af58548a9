/** One question to whoever has to allow a request, from being sent to its answer. Nobody hears of it after `cancel`. */
import { BoundedBytes } from "../../lib/bounded_bytes.ts";
import { isMeshHop } from "../../model/cluster.ts";
import { FLAG } from "../../telemetry/response_flags.ts";
import type { ClusterEndpoint } from "../cluster/cluster_endpoint.ts";
import type { PendingRequest } from "../cluster/host.ts";
import type { ClientStream, HeaderList, RequestHead, ResetReason, ResponseHead } from "../exchange.ts";
import { Deadline } from "../filters/deadline.ts";
import type { ExchangeContext } from "../filters/exchange_context.ts";
import { replyTo } from "../filters/upstream_failure.ts";
import { LOCAL_REPLY } from "../local_reply.ts";
import { PEER_HEADER, PORT_HEADER } from "../mesh_headers.ts";
import { type Authorizer, type CheckedBody, DENIAL_BODY_BYTES_MAX, type Permission } from "./authorizer.ts";

/** A connection that closed under the question is no answer: it is asked once more. */
const ATTEMPTS_MAX = 2;

export class PermissionRequest implements PendingRequest {
  readonly #context: ExchangeContext;
  readonly #authorizer: Authorizer;
  readonly #head: RequestHead;
  readonly #fieldCount: number;
  readonly #body: CheckedBody | null;
  readonly #then: (permission: Permission) => void;
  readonly #startedMs: number;
  readonly #deadline: Deadline;
  #attempts = 0;
  #endpoint: ClusterEndpoint | null = null;
  #upstream: ClientStream | null = null;
  #answer: ResponseHead | null = null;
  readonly #denial = new BoundedBytes(DENIAL_BODY_BYTES_MAX);
  #told = false;

  /** `then` is called once, later than the constructor returns only if nothing is known at once. */
  constructor(
    context: ExchangeContext,
    authorizer: Authorizer,
    head: RequestHead,
    body: CheckedBody | null,
    then: (permission: Permission) => void,
  ) {
    this.#context = context;
    this.#authorizer = authorizer;
    this.#head = authorizer.question(head, body);
    this.#fieldCount = this.#head.headers.length;
    this.#body = body;
    this.#then = then;
    this.#startedMs = context.clock.monotonic();
    this.#deadline = new Deadline(context.deadlines, authorizer.settings.timeoutMs, () => this.#giveUp());
  }

  send(): void {
    const { cluster, peer } = this.#authorizer;
    const endpoint = cluster?.pick() ?? null;
    const answer = endpoint === null ? cluster?.firstAnswer() ?? null : null;
    if (answer !== null) {
      void answer.then(() => {
        if (!this.#told) this.send();
      });
      return;
    }
    this.#attempts++;
    this.#endpoint = endpoint;
    if (cluster === null || endpoint === null) {
      this.#deadline.cancel();
      return this.#tell({ type: "failed" });
    }
    const { headers } = this.#head;
    headers.length = this.#fieldCount;
    if (isMeshHop(endpoint.endpoint)) {
      headers.push(PORT_HEADER, String(endpoint.endpoint.port), PEER_HEADER, peer);
    }
    const { host } = endpoint;
    host.active++;
    const { connectTimeoutMs } = cluster.cluster;
    const stream = host.request(this, this.#head, this.#body === null, connectTimeoutMs, this.#attempts > 1);
    if (stream === "overflow") this.#fail(LOCAL_REPLY.overflow.status, FLAG.overflow);
    else if (stream !== null) this.#attach(stream);
  }

  /** The request is over, whatever would be answered. */
  cancel(): void {
    this.#told = true;
    this.#breakOff();
    this.#leave(0, FLAG.downstreamClosed);
  }

  onConnection(open: (head: RequestHead, ended: boolean) => ClientStream): void {
    this.#attach(open(this.#head, this.#body === null));
  }

  onInform(): void {}

  onResponse(head: ResponseHead): void {
    this.#answer = head;
    this.#endpoint?.report(head.status, null);
    const permission = this.#authorizer.judge(head);
    if (permission !== null) this.#tell(permission);
  }

  onResponseBody(chunk: Uint8Array): void {
    if (this.#denial.add(chunk)) return;
    this.#breakOff();
    this.#end(null);
  }

  onResponseEnd(_trailers: HeaderList | null): void {
    this.#upstream = null;
    this.#end(this.#denial.joined());
  }

  onUpstreamReset(reason: ResetReason, processed: boolean): void {
    this.#upstream = null;
    if (this.#answer === null) this.#endpoint?.report(0, reason);
    const again = this.#answer === null && !processed && (reason === "closed" || reason === "refused");
    if (again && this.#attempts < ATTEMPTS_MAX) {
      this.#leaveHost();
      return this.send();
    }
    const { status, flags } = replyTo(reason);
    this.#fail(status, flags);
  }

  onUpstreamWritable(): void {}

  /** What the upstream does not take yet waits in its connection: the body is short. */
  #attach(upstream: ClientStream): void {
    this.#upstream = upstream;
    if (this.#body === null) return;
    for (const chunk of this.#body.chunks) upstream.body(chunk);
    upstream.end(null);
  }

  #end(body: Uint8Array | null): void {
    const answer = this.#answer as ResponseHead;
    this.#leave(answer.status, FLAG.none);
    this.#tell(this.#authorizer.denial(answer, body));
  }

  #giveUp(): void {
    this.#breakOff();
    this.#fail(LOCAL_REPLY.requestTimeout.status, FLAG.upstreamTimeout);
  }

  #fail(status: number, flags: string): void {
    this.#leave(status, flags);
    this.#tell({ type: "failed" });
  }

  #tell(permission: Permission): void {
    if (this.#told) return;
    this.#told = true;
    this.#then(permission);
  }

  #breakOff(): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    if (upstream !== null) upstream.reset();
    else this.#endpoint?.host.withdraw(this);
  }

  /** Counts the question on the edge to who was asked. */
  #leave(status: number, flags: string): void {
    this.#deadline.cancel();
    const edge = this.#endpoint?.edge;
    this.#leaveHost();
    edge?.record(status, flags, this.#context.clock.monotonic() - this.#startedMs);
  }

  #leaveHost(): void {
    if (this.#endpoint !== null) this.#endpoint.host.active--;
    this.#endpoint = null;
  }
}
