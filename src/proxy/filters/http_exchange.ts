/**
 * One request on its way through the proxy: between the downstream stream that it came on and the upstream stream that
 * it is sent on. Holds all its state; what differs between the directions stands in OutboundExchange and InboundExchange.
 */
import { FLAG } from "../../telemetry/response_flags.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import type { Host, PendingRequest } from "../cluster/host.ts";
import {
  type ClientStream,
  type HeaderList,
  opensTunnel,
  type RequestHead,
  type ResetReason,
  type ResponseHead,
  type ServerHandler,
  type ServerStream,
} from "../exchange.ts";
import { LOCAL_REPLY, type LocalReply, renderLocalReply } from "../local_reply.ts";
import { removeMeshHeaders } from "../mesh_headers.ts";
import type { AttemptFailure } from "../route/retry_policy.ts";
import { trailersToForward } from "../trailer_fields.ts";
import { CountedExchange } from "./counted_exchange.ts";
import type { ExchangeContext } from "./exchange_context.ts";
import { spendForward } from "./max_forwards.ts";
import { RequestBody } from "./request_body.ts";
import { replyTo } from "./upstream_failure.ts";

/** Where a request is sent, and which counters tell of it. */
export interface Target {
  readonly host: Host;
  readonly edge: Edge;
  readonly connectTimeoutMs: number;
}

export abstract class HttpExchange extends CountedExchange implements ServerHandler, PendingRequest {
  readonly #stream: ServerStream;
  #target: Target | null = null;
  /** The counters of the latest attempt. */
  #edge: Edge | null = null;
  #upstream: ClientStream | null = null;
  #retries = 0;
  /** A kept connection closed under it: the next attempt takes one that nobody used before. */
  #fresh = false;
  #cancelWait: (() => void) | null = null;
  /** The request was over with its head. */
  protected readonly bodiless: boolean;
  /** What came of the body and may have to be sent again; null as long as nothing came. */
  #body: RequestBody | null = null;
  #trailers: HeaderList | null = null;
  #requestEnded: boolean;
  #requestPaused = false;
  /** The tunnel that the request asked for stands: each half ends on its own. */
  #tunnelling = false;
  #responseEnded = false;
  #done = false;
  #downstreamFull = false;
  #upstreamFull = false;

  constructor(context: ExchangeContext, stream: ServerStream, head: RequestHead, ended: boolean) {
    super(context, head);
    context.inFlight.begin();
    this.#stream = stream;
    this.bodiless = ended;
    this.#requestEnded = ended;
  }

  /** Readies the head for this target; called before every attempt. */
  protected abstract prepare(target: Target): void;
  /**
   * The target of another attempt after one that came to no answer, or null when that was the last; `attempt` counts from
   * 1. `processed` is false when the upstream cannot have acted on the request, `sent` when it cannot even have seen it.
   */
  protected abstract afterFailure(
    attempt: number,
    failure: AttemptFailure,
    processed: boolean,
    sent: boolean,
  ): Target | null;
  /** The target of another attempt after the head of an answer, which nobody hears of then; null: the answer stands. */
  protected afterAnswer(_attempt: number, _head: ResponseHead): Target | null {
    return null;
  }
  /** Milliseconds to wait before that attempt. */
  protected abstract backoffMs(attempt: number): number;
  /** Whether the answer comes from a proxy of the mesh, whose own fields may stay. */
  protected abstract get upstreamIsProxy(): boolean;
  /** Whose local replies these are: `outbound tutorial/customer`. */
  protected abstract get proxyName(): string;
  /** Edits the head of the answer, whoever made it. */
  protected editAnswer(_headers: HeaderList): void {}
  /** Whether the body is wanted after the answer has begun, too. */
  protected get keepsBody(): boolean {
    return false;
  }
  /** The client has said everything; called once, and not for a request without a body. */
  protected onRequestComplete(): void {}
  /** The upstream of this attempt was sent all of the request. */
  protected onRequestSent(): void {}
  /** The exchange is over. */
  protected onFinished(): void {}

  /** Which attempt it is; counts from 1. */
  protected get attempt(): number {
    return this.#retries + 1;
  }

  protected get requestEnded(): boolean {
    return this.#requestEnded;
  }

  /** What is kept of the body; null when none came. */
  protected get body(): RequestBody | null {
    return this.#body;
  }

  protected get trailers(): HeaderList | null {
    return this.#trailers;
  }

  /** Sends the request. */
  send(target: Target): void {
    const last = this.#retries === 0 ? spendForward(this.head) : null;
    if (last !== null) return this.reply(last, target.edge);
    this.#target = target;
    this.#edge = target.edge;
    this.prepare(target);
    target.host.active++;
    const { host, connectTimeoutMs } = target;
    const stream = host.request(this, this.upstreamHead, this.bodiless, connectTimeoutMs, this.#fresh);
    if (stream === "overflow") return this.reply(LOCAL_REPLY.overflow, target.edge);
    if (stream !== null) this.#attach(stream);
    else this.#pauseRequest();
  }

  /**
   * Holds the request back until something is known, which never rejects; nothing follows if it is over by then. Until
   * there is a target it is counted on the edge.
   */
  waitFor<Known>(known: Promise<Known>, edge: Edge, then: (known: Known) => void): void {
    this.countOn(edge);
    this.#pauseRequest();
    void known.then((value) => {
      if (!this.#done) then(value);
    });
  }

  /** Answers in the proxy's own name, and counts it on the edge, if there is one yet. */
  reply(reply: LocalReply, edge: Edge | null): void {
    if (this.#done) return;
    this.answer(reply);
    const flags = this.withFlags(reply.flags);
    const { head, body } = renderLocalReply({ ...reply, flags }, this.isGrpc, this.proxyName);
    this.status = head.status;
    this.editAnswer(head.headers);
    this.hearGrpcStatus(head.headers);
    if (body !== null) this.countReply(body);
    this.#finish(reply.flags, edge);
    this.#stream.respond(head);
    if (body !== null) this.#stream.body(body);
    this.#stream.end(null);
  }

  /** Waits for no upstream any more: answers, or breaks off when an answer has begun. */
  protected giveUp(reply: LocalReply): void {
    if (this.#done) return;
    this.#letGo();
    if (this.status === 0) return this.reply(reply, this.#edge);
    this.answer(reply);
    this.#finish(reply.flags, this.#edge);
    this.#stream.reset();
  }

  /** Ends an attempt whose answer has not begun: another one follows, or the reply. */
  protected giveUpAttempt(failure: AttemptFailure, reply: LocalReply): void {
    if (this.#done || this.status !== 0) return;
    this.#letGo();
    if (!this.#retry(failure, true, true)) this.reply(reply, this.#edge);
  }

  /** The head as the upstream gets it. */
  protected get upstreamHead(): RequestHead {
    return this.head;
  }

  /** Counts the exchange there if it ends before it has a target. */
  protected countOn(edge: Edge): void {
    this.#edge = edge;
  }

  /** Holds the request back for a while. */
  protected wait(ms: number, then: () => void): void {
    this.#cancelWait = this.context.clock.after(ms, () => {
      this.#cancelWait = null;
      then();
    });
    this.#pauseRequest();
  }

  /** Lets no more of the request come until it is sent. */
  protected hold(): void {
    this.#pauseRequest();
  }

  /** Lets it come all the same; it is kept. */
  protected readOn(): void {
    this.#resumeRequest();
  }

  // From the downstream.

  onRequestBody(chunk: Uint8Array): void {
    if (this.#done) return;
    this.countRequestBody(chunk);
    const upstream = this.#upstream;
    if (upstream === null) {
      (this.#body ??= new RequestBody(this.context.replay)).hold(chunk);
      return;
    }
    if (this.status === 0 || this.keepsBody) {
      (this.#body ??= new RequestBody(this.context.replay)).remember(chunk);
    }
    this.tellMessages(this.#edge as Edge);
    if (!upstream.body(chunk)) {
      this.#upstreamFull = true;
      this.#pauseRequest();
    }
  }

  onRequestEnd(received: HeaderList | null): void {
    if (this.#done) return;
    const trailers = received === null ? null : trailersToForward(received);
    this.#requestEnded = true;
    this.#trailers = trailers;
    this.onRequestComplete();
    const upstream = this.#upstream;
    if (upstream === null) return;
    if (this.#responseEnded) this.#finish(FLAG.none, this.#edge);
    else this.onRequestSent();
    upstream.end(trailers);
  }

  onDownstreamReset(reason: ResetReason): void {
    if (this.#done) return;
    if (reason === "timeout" && this.status === 0) return this.giveUp(LOCAL_REPLY.requestStalled);
    let flags: string = FLAG.downstreamClosed;
    if (reason === "timeout") flags = FLAG.streamIdleTimeout;
    if (reason === "protocol-error") {
      flags = FLAG.downstreamProtocolError;
      // What the codec answers, unless an answer has begun.
      if (this.status === 0) this.status = 400;
    }
    const upstream = this.#upstream;
    const target = this.#target;
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
    this.#attach(open(this.upstreamHead, this.bodiless));
  }

  onInform(status: number, headers: HeaderList): void {
    if (this.#done) return;
    removeMeshHeaders(headers);
    this.#stream.inform(status, headers);
  }

  onResponse(head: ResponseHead): void {
    if (this.#done) return;
    const next = this.#body?.lost ? null : this.afterAnswer(this.#retries + 1, head);
    if (next !== null) {
      this.#letGo();
      return this.#tryAgain(next, false);
    }
    this.status = head.status;
    if (!this.keepsBody) this.#body?.release();
    // Without a body the trailers are in the head.
    this.hearGrpcStatus(head.headers);
    if (!this.upstreamIsProxy) removeMeshHeaders(head.headers);
    this.editAnswer(head.headers);
    this.#tunnelling = opensTunnel(this.head.tunnel, head.status);
    if (this.#tunnelling && this.isTcp) this.openConnection(this.#edge as Edge);
    this.#stream.respond(head);
  }

  onResponseBody(chunk: Uint8Array): void {
    if (this.#done) return;
    this.countResponseBody(chunk, this.#edge as Edge);
    if (!this.#stream.body(chunk)) {
      this.#downstreamFull = true;
      this.#upstream?.pauseResponse();
    }
  }

  onResponseEnd(trailers: HeaderList | null): void {
    if (this.#done) return;
    if (trailers !== null) {
      removeMeshHeaders(trailers);
      this.hearGrpcStatus(trailers);
    }
    this.#responseEnded = true;
    // The client may have more to say through a tunnel whose other half has ended.
    if (!this.#tunnelling || this.#requestEnded) this.#finish(FLAG.none, this.#edge);
    this.#stream.end(trailers);
  }

  onUpstreamReset(reason: ResetReason, processed: boolean): void {
    if (this.#done) return;
    const { edge } = this.#target as Target;
    const sent = this.#upstream !== null;
    this.#upstream = null;
    if (this.status !== 0) {
      // The answer has begun: breaking off is the only way left to say that it is not whole.
      this.#finish(FLAG.upstreamReset, edge);
      this.#stream.reset();
      return;
    }
    if (!this.#retry(reason, processed, sent)) this.reply(replyTo(reason), edge);
  }

  onUpstreamWritable(): void {
    if (!this.#upstreamFull || this.#done) return;
    this.#upstreamFull = false;
    this.#resumeRequest();
  }

  /** Sends what there is of the request. */
  #attach(upstream: ClientStream): void {
    this.#upstream = upstream;
    this.#upstreamFull = false;
    this.tellMessages(this.#edge as Edge);
    const body = this.#body;
    if (body !== null) {
      for (const chunk of body.chunks) if (!upstream.body(chunk)) this.#upstreamFull = true;
      body.sent();
    }
    if (this.#requestEnded) {
      if (!this.bodiless) upstream.end(this.#trailers);
      this.onRequestSent();
    }
    if (!this.#upstreamFull) this.#resumeRequest();
  }

  /** Another attempt after one that came to no answer, if there is to be one. */
  #retry(failure: AttemptFailure, processed: boolean, sent: boolean): boolean {
    if (this.#body?.lost) return false;
    const next = this.afterFailure(this.#retries + 1, failure, processed, sent);
    if (next === null) return false;
    // A connection that was kept and closed says nothing about the upstream.
    this.#tryAgain(next, failure === "closed" && !processed);
    return true;
  }

  #tryAgain(next: Target, atOnce: boolean): void {
    this.#retries++;
    this.#fresh = atOnce;
    this.#leaveTarget();
    this.wait(atOnce ? 0 : this.backoffMs(this.#retries), () => this.send(next));
  }

  #letGo(): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    if (upstream !== null) upstream.reset();
    else this.#target?.host.withdraw(this);
  }

  #leaveTarget(): void {
    if (this.#target !== null) this.#target.host.active--;
    this.#target = null;
  }

  #pauseRequest(): void {
    if (this.#requestEnded || this.#requestPaused) return;
    this.#requestPaused = true;
    this.#stream.pauseRequest();
  }

  #resumeRequest(): void {
    if (!this.#requestPaused) return;
    this.#requestPaused = false;
    this.#stream.resumeRequest();
  }

  /** The exchange is over for the counters and for everybody who still calls. */
  #finish(flags: string, edge: Edge | null): void {
    this.#done = true;
    this.context.inFlight.end();
    this.onFinished();
    this.#upstream = null;
    this.#body?.release();
    this.#cancelWait?.();
    const reached = this.#target !== null;
    this.#leaveTarget();
    if (edge !== null) this.count(edge, flags, reached);
  }
}
