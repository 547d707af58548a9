/** A copy of a request on its way to a mirror: nobody waits for its answer, and nothing that befalls it is heard of. */
import { FLAG } from "../../telemetry/response_flags.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import { GRPC_STATUS_NONE, NOT_GRPC, parseGrpcStatus } from "../../telemetry/grpc_status.ts";
import type { Host, PendingRequest } from "../cluster/host.ts";
import {
  type ClientStream,
  type HeaderList,
  headerValue,
  type RequestHead,
  type ResetReason,
  type ResponseHead,
} from "../exchange.ts";
import { isGrpc, LOCAL_REPLY } from "../local_reply.ts";
import { Deadline } from "./deadline.ts";
import type { ExchangeContext } from "./exchange_context.ts";
import type { Target } from "./http_exchange.ts";
import { replyTo } from "./upstream_failure.ts";

/** Copies that a proxy has on their way at once; a further one is not sent. */
export const MIRRORS_IN_FLIGHT_MAX = 1_000;

const SHADOW_SUFFIX = "-shadow";

/** The authority of a copy, as Envoy marks it: `shop-shadow:8080`. */
export function shadowAuthority(authority: string): string {
  const colon = authority.lastIndexOf(":");
  if (colon < 0 || authority.endsWith("]")) return authority + SHADOW_SUFFIX;
  return authority.slice(0, colon) + SHADOW_SUFFIX + authority.slice(colon);
}

export interface MirroredRequest {
  readonly head: RequestHead;
  /** Null: the request had no body. */
  readonly body: readonly Uint8Array[] | null;
  readonly trailers: HeaderList | null;
  /** As that of the request; 0: none. */
  readonly timeoutMs: number;
}

export class Mirror implements PendingRequest {
  readonly #context: ExchangeContext;
  readonly #request: MirroredRequest;
  readonly #host: Host;
  readonly #edge: Edge;
  readonly #startedMs: number;
  readonly #deadline: Deadline | null;
  #upstream: ClientStream | null = null;
  #status = 0;
  /** As in Series. */
  #grpcStatus: number;
  #done = false;

  /** Sends the copy, unless there are too many already. */
  static send(context: ExchangeContext, target: Target, request: MirroredRequest): void {
    if (context.mirrors.count >= MIRRORS_IN_FLIGHT_MAX) return;
    new Mirror(context, target, request).#send(target.connectTimeoutMs);
  }

  private constructor(context: ExchangeContext, { host, edge }: Target, request: MirroredRequest) {
    this.#context = context;
    this.#request = request;
    this.#host = host;
    this.#edge = edge;
    this.#startedMs = context.clock.monotonic();
    this.#grpcStatus = isGrpc(request.head) ? GRPC_STATUS_NONE : NOT_GRPC;
    const { timeoutMs } = request;
    this.#deadline = timeoutMs === 0
      ? null
      : new Deadline(context.deadlines, timeoutMs, () => this.#giveUp());
    context.mirrors.count++;
    host.active++;
  }

  #send(connectTimeoutMs: number): void {
    const { head, body } = this.#request;
    const stream = this.#host.request(this, head, body === null, connectTimeoutMs);
    if (stream === "overflow") this.#finish(LOCAL_REPLY.overflow.status, FLAG.overflow);
    else if (stream !== null) this.#attach(stream);
  }

  onConnection(open: (head: RequestHead, ended: boolean) => ClientStream): void {
    const { head, body } = this.#request;
    this.#attach(open(head, body === null));
  }

  onInform(): void {}

  onResponse({ status, headers }: ResponseHead): void {
    this.#status = status;
    this.#hearGrpcStatus(headers);
  }

  onResponseBody(): void {}

  onResponseEnd(trailers: HeaderList | null): void {
    if (trailers !== null) this.#hearGrpcStatus(trailers);
    this.#finish(this.#status, FLAG.none);
  }

  onUpstreamReset(reason: ResetReason): void {
    const { status, flags } = replyTo(reason);
    if (this.#status === 0) this.#finish(status, flags);
    else this.#finish(this.#status, FLAG.upstreamReset);
  }

  onUpstreamWritable(): void {}

  /** The body is short: what the upstream does not take yet waits in its connection. */
  #attach(upstream: ClientStream): void {
    this.#upstream = upstream;
    const { body, trailers } = this.#request;
    if (body === null) return;
    for (const chunk of body) upstream.body(chunk);
    upstream.end(trailers);
  }

  #giveUp(): void {
    if (this.#upstream === null) this.#host.withdraw(this);
    else this.#upstream.reset();
    this.#finish(this.#status === 0 ? LOCAL_REPLY.requestTimeout.status : this.#status, FLAG.upstreamTimeout);
  }

  #hearGrpcStatus(fields: HeaderList): void {
    if (this.#grpcStatus === NOT_GRPC) return;
    const value = headerValue(fields, "grpc-status");
    if (value !== undefined) this.#grpcStatus = parseGrpcStatus(value);
  }

  #finish(status: number, flags: string): void {
    if (this.#done) return;
    this.#done = true;
    this.#upstream = null;
    this.#deadline?.cancel();
    this.#context.mirrors.count--;
    this.#host.active--;
    this.#edge.record(status, flags, this.#context.clock.monotonic() - this.#startedMs, this.#grpcStatus);
  }
}
