/** What an exchange counts about itself, and tells its edge when it is over: bytes, gRPC messages, how it ended. */
import { TAPPED_TEXT_LENGTH_MAX, type TappedVerdict } from "../../model/tap.ts";
import type { ConnectionSeries } from "../../telemetry/connection_series.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import { GrpcMessageCounter, wholeMessages } from "../../telemetry/grpc_messages.ts";
import { GRPC_STATUS_NONE, NOT_GRPC, parseGrpcStatus } from "../../telemetry/grpc_status.ts";
import { FLAG } from "../../telemetry/response_flags.ts";
import { type HeaderList, headerValue, type RequestHead } from "../exchange.ts";
import { isGrpc, type LocalReply } from "../local_reply.ts";
import type { Verdict } from "../policy/compiled_rule.ts";
import type { ExchangeContext } from "./exchange_context.ts";

export abstract class CountedExchange {
  protected readonly head: RequestHead;
  protected readonly context: ExchangeContext;
  /** Of the answer that the client gets; 0 before it has begun. */
  protected status = 0;
  readonly #startedMs: number;
  /** As in RequestSeries. */
  #grpcStatus: number;
  /** From the first chunk of a gRPC call on that ends within a message. */
  #requestMessages: GrpcMessageCounter | null = null;
  #responseMessages: GrpcMessageCounter | null = null;
  /** Messages of the request that came before there was anybody to send them to. */
  #messagesToTell = 0;
  /** Of the bodies. */
  #requestBytes = 0;
  #responseBytes = 0;
  /** Counts the bytes of a CONNECT tunnel that stands: a TCP connection is no request. */
  #connection: ConnectionSeries | null = null;
  /** As in LocalReply, where the answer is one. */
  #details = "";
  /** Response flags that hold besides the one of how it ended, each after a comma. */
  #moreFlags = "";

  constructor(context: ExchangeContext, head: RequestHead) {
    this.context = context;
    this.head = head;
    this.#startedMs = context.clock.monotonic();
    this.#grpcStatus = isGrpc(head) ? GRPC_STATUS_NONE : NOT_GRPC;
  }

  /** When it came, by the calendar. */
  protected get startedMs(): number {
    const { clock } = this.context;
    return clock.now() - (clock.monotonic() - this.#startedMs);
  }

  protected get isGrpc(): boolean {
    return this.#grpcStatus !== NOT_GRPC;
  }

  protected get isTcp(): boolean {
    return this.head.tunnel === "connect";
  }

  /** The answer is the proxy's own. */
  protected answer({ details }: LocalReply): void {
    this.#details = details;
  }

  /** What the own workload's policies said; null: none was asked. */
  protected get verdict(): Verdict | null {
    return null;
  }

  /** Adds a response flag to the one that the exchange will end with. */
  protected flag(flag: string): void {
    this.#moreFlags += `,${flag}`;
  }

  protected withFlags(flags: string): string {
    if (this.#moreFlags === "") return flags;
    return flags === FLAG.none ? this.#moreFlags.slice(1) : flags + this.#moreFlags;
  }

  protected hearGrpcStatus(fields: HeaderList): void {
    if (!this.isGrpc) return;
    const value = headerValue(fields, "grpc-status");
    if (value !== undefined) this.#grpcStatus = parseGrpcStatus(value);
  }

  /** A piece of the body, as it comes from the client: sending it again counts no second time. */
  protected countRequestBody(chunk: Uint8Array): void {
    if (this.#connection === null) this.#requestBytes += chunk.length;
    else this.#connection.receivedBytes += chunk.length;
    if (!this.isGrpc) return;
    const whole = this.#requestMessages === null ? wholeMessages(chunk) : -1;
    if (whole >= 0) this.#messagesToTell += whole;
    else this.#messagesToTell += (this.#requestMessages ??= new GrpcMessageCounter()).count(chunk);
  }

  /** The messages so far are sent on this edge; sending them again to another one counts no second time. */
  protected tellMessages(edge: Edge): void {
    edge.requestMessages += this.#messagesToTell;
    this.#messagesToTell = 0;
  }

  protected countResponseBody(chunk: Uint8Array, edge: Edge): void {
    if (this.#connection === null) this.#responseBytes += chunk.length;
    else this.#connection.sentBytes += chunk.length;
    if (!this.isGrpc) return;
    const whole = this.#responseMessages === null ? wholeMessages(chunk) : -1;
    if (whole >= 0) edge.responseMessages += whole;
    else edge.responseMessages += (this.#responseMessages ??= new GrpcMessageCounter()).count(chunk);
  }

  /** The body of an answer of the proxy's own. */
  protected countReply(body: Uint8Array): void {
    this.#responseBytes = body.length;
  }

  /** What the client said before the tunnel stood counts too. */
  protected openConnection(edge: Edge, flags?: string): void {
    this.#connection = edge.openConnection(flags);
    this.#connection.receivedBytes += this.#requestBytes;
  }

  /** The exchange is over. `reached`: it had a host to go to. */
  protected count(edge: Edge, flag: string, reached: boolean): void {
    const flags = this.withFlags(flag);
    if (this.context.tap.active) this.#tell(edge, flags);
    if (this.isTcp) return this.#closeConnection(flags, edge, reached);
    const durationMs = this.context.clock.monotonic() - this.#startedMs;
    edge.record(this.status, flags, durationMs, this.#grpcStatus, this.#requestBytes, this.#responseBytes);
  }

  #tell({ labels }: Edge, flags: string): void {
    const { clock, tap } = this.context;
    const { method, authority, path } = this.head;
    const [protocol, status] = this.isTcp
      ? ["tcp", 0] as const
      : [this.isGrpc ? "grpc" : "http", this.status] as const;
    const queryAt = path.indexOf("?");
    tap.record({
      timeMs: clock.now(),
      reporter: labels.reporter,
      source: labels.source.key,
      destination: labels.destination.key,
      service: labels.service.host,
      mtls: labels.mtls,
      protocol,
      method: method.slice(0, TAPPED_TEXT_LENGTH_MAX),
      authority: authority.slice(0, TAPPED_TEXT_LENGTH_MAX),
      path: path.slice(0, Math.min(queryAt < 0 ? path.length : queryAt, TAPPED_TEXT_LENGTH_MAX)),
      status,
      ...(this.#grpcStatus < 0 ? {} : { grpcStatus: this.#grpcStatus }),
      flags,
      details: this.#details,
      durationMs: clock.monotonic() - this.#startedMs,
      requestBytes: this.#connection?.receivedBytes ?? this.#requestBytes,
      responseBytes: this.#connection?.sentBytes ?? this.#responseBytes,
      verdict: tappedVerdict(this.verdict),
    });
  }

  #closeConnection(flags: string, edge: Edge, reached: boolean): void {
    if (this.#connection !== null) return edge.closeConnection(flags);
    // It never stood. Whoever refuses CONNECT with a status, and a policy that blocks it, give no flag.
    const unflagged = reached ? FLAG.upstreamConnectFailure : FLAG.noHealthyUpstream;
    const cause = flags === FLAG.none ? unflagged : flags;
    this.openConnection(edge, cause);
    edge.closeConnection(cause);
  }
}

function tappedVerdict(verdict: Verdict | null): TappedVerdict | null {
  if (verdict === null) return null;
  const { allowed, policy, rule } = verdict;
  if (policy === null || rule === null) return { allowed, policy: null, rule: null, file: null, line: null };
  return {
    allowed,
    policy: policy.name,
    rule,
    file: policy.file,
    line: policy.rules[rule]?.line ?? policy.line,
  };
}
