/**
 * One request on its way through the proxy: between the downstream stream that it came on and the upstream stream that
 * it is sent on. Holds all its state; what differs between the directions stands in OutboundExchange and InboundExchange.
 */
import type { Clock } from "../../lib/clock.ts";
import { FLAG } from "../../telemetry/response_flags.ts";
import type { ConnectionSeries } from "../../telemetry/connection_series.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import { GrpcMessageCounter } from "../../telemetry/grpc_messages.ts";
import { GRPC_STATUS_NONE, NOT_GRPC, parseGrpcStatus } from "../../telemetry/grpc_status.ts";
import type { Host, PendingRequest } from "../cluster/host.ts";
import {
  type ClientStream,
  type HeaderList,
  headerValue,
  opensTunnel,
  type RequestHead,
  type ResetReason,
  type ResponseHead,
  type ServerHandler,
  type ServerStream,
} from "../exchange.ts";
import { isGrpc, LOCAL_REPLY, type LocalReply, renderLocalReply } from "../local_reply.ts";
import { removeMeshHeaders } from "../mesh_headers.ts";
import type { InFlight } from "./in_flight.ts";

/** Where a request is sent, and which counters tell of it. */
export interface Target {
  readonly host: Host;
  readonly edge: Edge;
  readonly connectTimeoutMs: number;
}

/** What exchanges need from the proxy around them. */
export interface ExchangeContext {
  readonly clock: Clock;
  readonly inFlight: InFlight;
}

/** RFC 9110 §9.2.2: sending it twice is as good as once. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);

export abstract class HttpExchange implements ServerHandler, PendingRequest {
  protected readonly head: RequestHead;
  readonly #stream: ServerStream;
  readonly #clock: Clock;
  readonly #inFlight: InFlight;
  readonly #startedMs: number;
  #target: Target | null = null;
  /** The counters of the latest attempt. */
  #edge: Edge | null = null;
  #upstream: ClientStream | null = null;
  #retries = 0;
  /** A kept connection closed under it: the next attempt takes one that nobody used before. */
  #fresh = false;
  #cancelBackoff: (() => void) | null = null;
  /** What came of the body before there was a connection; null when it goes straight on. */
  #early: Uint8Array[] | null = null;
  #trailers: HeaderList | null = null;
  #requestEnded: boolean;
  /** The tunnel that the request asked for stands: each half ends on its own. */
  #tunnelling = false;
  #responseEnded = false;
  #bodySent = false;
  #status = 0;
  /** As in RequestSeries. */
  #grpcStatus: number;
  /** Null where the request is not gRPC. */
  readonly #requestMessages: GrpcMessageCounter | null;
  readonly #responseMessages: GrpcMessageCounter | null;
  /** Of the bodies. */
  #requestBytes = 0;
  #responseBytes = 0;
  /** Counts the bytes of a CONNECT tunnel that stands: a TCP connection is no request. */
  #connection: ConnectionSeries | null = null;
  #done = false;
  #downstreamFull = false;
  #upstreamFull = false;

  constructor(context: ExchangeContext, stream: ServerStream, head: RequestHead, ended: boolean) {
    const { clock, inFlight } = context;
    this.#clock = clock;
    this.#startedMs = clock.monotonic();
    this.#inFlight = inFlight;
    inFlight.begin();
    this.#stream = stream;
    this.head = head;
    this.#requestEnded = ended;
    const grpc = isGrpc(head);
    this.#grpcStatus = grpc ? GRPC_STATUS_NONE : NOT_GRPC;
    this.#requestMessages = grpc ? new GrpcMessageCounter() : null;
    this.#responseMessages = grpc ? new GrpcMessageCounter() : null;
  }

  /** Readies the head for this target; called before every attempt. */
  protected abstract prepare(target: Target): void;
  /** The target of another attempt, or null when this was the last: `attempt` counts from 1. */
  protected abstract retarget(attempt: number, reason: ResetReason): Target | null;
  /** Milliseconds to wait before that attempt. */
  protected abstract backoffMs(attempt: number): number;
  /** Whether the answer comes from a proxy of the mesh, whose own fields may stay. */
  protected abstract get upstreamIsProxy(): boolean;
  /** Whose local replies these are: `outbound tutorial/customer`. */
  protected abstract get proxyName(): string;

  /** Sends the request. */
  send(target: Target): void {
    this.#target = target;
    this.#edge = target.edge;
    this.prepare(target);
    target.host.active++;
    const { host, connectTimeoutMs } = target;
    const ended = this.#requestEnded && this.#early === null;
    const stream = host.request(this, this.head, ended, connectTimeoutMs, this.#fresh);
    if (stream === "overflow") return this.reply(LOCAL_REPLY.overflow, target.edge);
    if (stream !== null) {
      this.#upstream = stream;
      this.#sendEarly();
    } else if (!this.#requestEnded) {
      this.#early ??= [];
      this.#stream.pauseRequest();
    }
  }

  /** Answers in the proxy's own name, and counts it on the edge. */
  reply(reply: LocalReply, edge: Edge): void {
    if (this.#done) return;
    const { head, body } = renderLocalReply(reply, this.#isGrpc, this.proxyName);
    this.#status = head.status;
    this.#hearGrpcStatus(head.headers);
    if (body !== null) this.#responseBytes = body.length;
    this.#finish(reply.flags, edge);
    this.#stream.respond(head);
    if (body !== null) this.#stream.body(body);
    this.#stream.end(null);
  }

  // From the downstream.

  onRequestBody(chunk: Uint8Array): void {
    if (this.#done) return;
    if (this.#connection === null) this.#requestBytes += chunk.length;
    else this.#connection.receivedBytes += chunk.length;
    if (this.#upstream === null) {
      (this.#early ??= []).push(chunk);
      return;
    }
    if (!this.#sendBody(this.#upstream, chunk)) {
      this.#upstreamFull = true;
      this.#stream.pauseRequest();
    }
  }

  onRequestEnd(trailers: HeaderList | null): void {
    if (this.#done) return;
    if (trailers !== null) removeMeshHeaders(trailers);
    this.#requestEnded = true;
    this.#trailers = trailers;
    const upstream = this.#upstream;
    if (upstream === null) {
      this.#early ??= [];
      return;
    }
    if (this.#responseEnded) this.#finish(FLAG.none, this.#edge);
    upstream.end(trailers);
  }

  onDownstreamReset(reason: ResetReason): void {
    if (this.#done) return;
    const upstream = this.#upstream;
    const target = this.#target;
    let flags: string = FLAG.downstreamClosed;
    // What the codec answers, unless an answer has begun.
    let status = 0;
    if (reason === "protocol-error") {
      flags = FLAG.downstreamProtocolError;
      status = 400;
    } else if (reason === "timeout") {
      flags = FLAG.streamIdleTimeout;
      status = 408;
    }
    if (this.#status === 0) this.#status = status;
    this.#finish(flags, this.#edge);
    if (upstream !== null) upstream.reset();
    else target?.host.withdraw(this);
  }

  onDownstreamWritable(): void {
    if (!this.#downstreamFull || this.#done) return;
    this.#downstreamFull = false;
    this.#upstream?.resumeResponse();
  }

  // From the upstream.

  onConnection(open: (head: RequestHead, ended: boolean) => ClientStream): void {
    this.#upstream = open(this.head, this.#requestEnded && this.#early === null);
    this.#sendEarly();
    if (!this.#upstreamFull) this.#stream.resumeRequest();
  }

  onInform(status: number, headers: HeaderList): void {
    if (this.#done) return;
    removeMeshHeaders(headers);
    this.#stream.inform(status, headers);
  }

  onResponse(head: ResponseHead): void {
    if (this.#done) return;
    this.#status = head.status;
    // Without a body the trailers are in the head.
    this.#hearGrpcStatus(head.headers);
    if (!this.upstreamIsProxy) removeMeshHeaders(head.headers);
    this.#tunnelling = opensTunnel(this.head.tunnel, head.status);
    if (this.#tunnelling && this.#isTcp) this.#openConnection(this.#edge as Edge);
    this.#stream.respond(head);
  }

  onResponseBody(chunk: Uint8Array): void {
    if (this.#done) return;
    if (this.#connection === null) this.#responseBytes += chunk.length;
    else this.#connection.sentBytes += chunk.length;
    if (this.#responseMessages !== null) {
      (this.#edge as Edge).responseMessages += this.#responseMessages.count(chunk);
    }
    if (!this.#stream.body(chunk)) {
      this.#downstreamFull = true;
      this.#upstream?.pauseResponse();
    }
  }

  onResponseEnd(trailers: HeaderList | null): void {
    if (this.#done) return;
    if (trailers !== null) {
      removeMeshHeaders(trailers);
      this.#hearGrpcStatus(trailers);
    }
    this.#responseEnded = true;
    // The client may have more to say through a tunnel whose other half has ended.
    if (!this.#tunnelling || this.#requestEnded) this.#finish(FLAG.none, this.#edge);
    this.#stream.end(trailers);
  }

  onUpstreamReset(reason: ResetReason, processed: boolean): void {
    if (this.#done) return;
    const target = this.#target as Target;
    this.#upstream = null;
    if (this.#status !== 0) {
      // The answer has begun: breaking off is the only way left to say that it is not whole.
      this.#finish(FLAG.upstreamReset, target.edge);
      this.#stream.reset();
      return;
    }
    if (!processed && !this.#bodySent && this.#retry(reason, target)) return;
    this.reply(replyTo(reason, this.#retries), target.edge);
  }

  onUpstreamWritable(): void {
    if (!this.#upstreamFull || this.#done) return;
    this.#upstreamFull = false;
    this.#stream.resumeRequest();
  }

  /** Another attempt, if there is to be one. Nothing of the request has been acted on. */
  #retry(reason: ResetReason, failed: Target): boolean {
    // A connection that closed in silence may still have delivered the request.
    if (reason === "closed" && !IDEMPOTENT.has(this.head.method)) return false;
    const next = this.retarget(this.#retries + 1, reason);
    if (next === null) return false;
    this.#retries++;
    this.#fresh = reason === "closed";
    failed.host.active--;
    this.#target = null;
    const backoffMs = reason === "closed" ? 0 : this.backoffMs(this.#retries);
    this.#cancelBackoff = this.#clock.after(backoffMs, () => {
      this.#cancelBackoff = null;
      this.send(next);
    });
    // A body that has ended without a byte still has its end to send.
    if (this.head.bodyLength !== 0) this.#early ??= [];
    if (!this.#requestEnded) this.#stream.pauseRequest();
    return true;
  }

  #sendEarly(): void {
    const upstream = this.#upstream as ClientStream;
    const early = this.#early;
    if (early === null) return;
    this.#early = null;
    for (const chunk of early) {
      if (!this.#sendBody(upstream, chunk)) this.#upstreamFull = true;
    }
    if (this.#requestEnded) upstream.end(this.#trailers);
  }

  /** After this there is no other attempt, so that what is counted here belongs to the edge for good. */
  #sendBody(upstream: ClientStream, chunk: Uint8Array): boolean {
    this.#bodySent = true;
    if (this.#requestMessages !== null) {
      (this.#edge as Edge).requestMessages += this.#requestMessages.count(chunk);
    }
    return upstream.body(chunk);
  }

  get #isGrpc(): boolean {
    return this.#grpcStatus !== NOT_GRPC;
  }

  get #isTcp(): boolean {
    return this.head.tunnel === "connect";
  }

  #hearGrpcStatus(fields: HeaderList): void {
    if (!this.#isGrpc) return;
    const value = headerValue(fields, "grpc-status");
    if (value !== undefined) this.#grpcStatus = parseGrpcStatus(value);
  }

  /** The exchange is over for the counters and for everybody who still calls. */
  #finish(flags: string, edge: Edge | null): void {
    this.#done = true;
    this.#inFlight.end();
    this.#upstream = null;
    this.#early = null;
    this.#cancelBackoff?.();
    if (this.#target !== null) this.#target.host.active--;
    if (edge === null) return;
    if (this.#isTcp) return this.#closeConnection(flags, edge);
    const durationMs = this.#clock.monotonic() - this.#startedMs;
    edge.record(this.#status, flags, durationMs, this.#grpcStatus, this.#requestBytes, this.#responseBytes);
  }

  /** What the client said before the tunnel stood counts too. */
  #openConnection(edge: Edge, flags?: string): void {
    this.#connection = edge.openConnection(flags);
    this.#connection.receivedBytes += this.#requestBytes;
  }

  #closeConnection(flags: string, edge: Edge): void {
    if (this.#connection !== null) return edge.closeConnection(flags);
    // It never stood. Whoever refuses CONNECT with a status, and a policy that blocks it, give no flag.
    const unflagged = this.#target === null ? FLAG.noHealthyUpstream : FLAG.upstreamConnectFailure;
    const cause = flags === FLAG.none ? unflagged : flags;
    this.#openConnection(edge, cause);
    edge.closeConnection(cause);
  }
}

function replyTo(reason: ResetReason, retries: number): LocalReply {
  switch (reason) {
    case "closed":
      return LOCAL_REPLY.upstreamClosed;
    case "refused":
      return LOCAL_REPLY.upstreamRefused;
    case "protocol-error":
      return LOCAL_REPLY.upstreamProtocolError;
    case "timeout":
      return LOCAL_REPLY.upstreamTimeout;
    default:
      return retries > 0 ? LOCAL_REPLY.connectFailureRetried : LOCAL_REPLY.connectFailure;
  }
}
