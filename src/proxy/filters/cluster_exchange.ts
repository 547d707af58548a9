/**
 * One call that goes to the endpoints of a cluster: which of them each attempt asks, what is tried again, and how long all
 * of it may take.
 */
import type { Random } from "../../lib/prng.ts";
import { isMeshHop } from "../../model/cluster.ts";
import type { Address } from "../../runtime/wire.ts";
import { FLAG } from "../../telemetry/response_flags.ts";
import { NO_KEY } from "../cluster/balancer/balancer.ts";
import type { CompiledCluster } from "../cluster/cluster.ts";
import type { ClusterEndpoint } from "../cluster/cluster_endpoint.ts";
import { answerOutcome, outcomeFollows } from "../cluster/health/answer_outcome.ts";
import type { ProxiedEnds } from "../cluster/proxy_protocol.ts";
import type { PoolLimits } from "../cluster/pool_limits.ts";
import type { CompiledSnapshot, PinnedEndpoint } from "../compiled_snapshot.ts";
import type { HeaderList, RequestHead, ResetReason, ResponseHead, ServerStream } from "../exchange.ts";
import { LOCAL_REPLY } from "../local_reply.ts";
import { ATTEMPT_COUNT_HEADER, PEER_HEADER, PORT_HEADER } from "../mesh_headers.ts";
import { DEFAULT_RETRIES } from "../route/compiled_route.ts";
import type { AttemptFailure, CompiledRetryPolicy } from "../route/retry_policy.ts";
import { Deadline } from "./deadline.ts";
import type { ExchangeContext } from "./exchange_context.ts";
import { GuardedExchange } from "./guarded_exchange.ts";
import type { Target } from "./http_exchange.ts";
import { tunnelHead } from "./tunnel_head.ts";
import { lostOnKeptConnection } from "./upstream_failure.ts";
import { dialledHost, tunnelOf, upstreamHost, type UpstreamHosts } from "./upstream_host.ts";

export interface OutboundContext extends ExchangeContext, UpstreamHosts {
  readonly random: Random;
}

export abstract class ClusterExchange extends GuardedExchange {
  declare protected readonly context: OutboundContext;
  /** Fields of the request itself; those for the mesh hop come after. */
  protected fieldCount: number;
  #cluster: CompiledCluster | null = null;
  #endpoint: ClusterEndpoint | null = null;
  /** Endpoints of the attempts that failed; undefined before the first retry. */
  #tried: ClusterEndpoint[] | undefined;
  /** Endpoints that were tried, for a retry policy that goes on to other localities; undefined for every other. */
  #attempted: ClusterEndpoint[] | undefined;
  /** What the cluster's endpoints are chosen by, and the cookie that goes with it. */
  #key: number = NO_KEY;
  #setCookie: string | null = null;
  /** The answer has begun, and its trailers will tell what it was. */
  #outcomeFollows = false;
  /** Where the attempt counts as a retry. */
  #retrying: PoolLimits | null = null;
  /** Where the client's connection counts as one. */
  #tunnelling: PoolLimits | null = null;
  /** Of the client's connection, where it carries bytes and nobody asked for it by CONNECT. */
  #ends: ProxiedEnds | null = null;
  /** Where the client was going, for clusters that ask for no more; null: nothing but its request says so. */
  #dialled: Address | null = null;
  /** The only endpoint that will do: the client dialled its own address. */
  #pinned: ClusterEndpoint | null = null;
  /** Null: the request is sent once. */
  protected retries: CompiledRetryPolicy | null = null;
  /** Of the whole request; 0: none. */
  protected timeoutMs = 0;
  #deadline: Deadline | null = null;
  #attemptDeadline: Deadline | null = null;

  constructor(
    context: OutboundContext,
    protected readonly snapshot: CompiledSnapshot,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
  ) {
    super(context, stream, head, ended);
    this.fieldCount = head.headers.length;
  }

  /** Sends it to a cluster without asking a route. `pinned`: to that endpoint of it. */
  sendTo(cluster: CompiledCluster, pinned: PinnedEndpoint | null = null): void {
    // Where there is one address alone, it is asked once, as where it is passed on.
    this.retries = this.#goesOn(cluster) ? null : DEFAULT_RETRIES;
    this.#pinned = pinned?.endpoint ?? null;
    this.sendBy(cluster);
  }

  /** Says where the client was going. */
  wasGoingTo(destination: Address): void {
    this.#dialled = destination;
  }

  /** Says which connection the exchange stands for. */
  standFor(ends: ProxiedEnds): void {
    this.#ends = ends;
  }

  /** Sends it to a cluster, by what was said of retries and the timeout. */
  protected sendBy(cluster: CompiledCluster): void {
    this.#cluster = cluster;
    if (this.head.tunnel === "connect" && cluster.limits !== null) {
      if (!cluster.limits.beginTunnel()) return this.reply(LOCAL_REPLY.overflow, cluster.unserved);
      this.#tunnelling = cluster.limits;
    }
    if (cluster.hashPolicy !== null) {
      const { key, setCookie } = cluster.hashPolicy.keyOf(this.head, this.clientAddress);
      this.#key = key;
      this.#setCookie = setCookie;
    }
    if (this.requestEnded) this.onRequestComplete();
    this.#begin(cluster);
  }

  /** The first attempt. What DNS has yet to say is waited for here, so that no snapshot has to wait for it. */
  #begin(cluster: CompiledCluster): void {
    const target = this.#pick();
    if (target !== null) return this.send(target);
    const unresolved = cluster.hasNames && cluster.endpoints.length === 0;
    const answer = unresolved ? cluster.firstAnswer() : null;
    if (answer !== null) return this.waitFor(answer, cluster.unserved, () => this.#begin(cluster));
    this.reply(unresolved ? LOCAL_REPLY.dnsFailure : LOCAL_REPLY.noHealthyUpstream, cluster.unserved);
  }

  /** The fields of the request are now what they should be upstream. */
  protected keepFields(): void {
    this.fieldCount = this.head.headers.length;
  }

  protected override onRequestComplete(): void {
    super.onRequestComplete();
    if (this.timeoutMs > 0) {
      this.#deadline = new Deadline(
        this.context.deadlines,
        this.timeoutMs,
        () => this.#timeOut(),
      );
    }
  }

  protected override onRequestSent(): void {
    const perTryTimeoutMs = this.retries?.perTryTimeoutMs ?? null;
    if (perTryTimeoutMs === null) return;
    this.#attemptDeadline = new Deadline(
      this.context.deadlines,
      perTryTimeoutMs,
      () => this.#timeOutAttempt(),
    );
  }

  #timeOut(): void {
    if (this.status === 0) this.#report(0, "timeout");
    this.giveUp(LOCAL_REPLY.requestTimeout);
  }

  #timeOutAttempt(): void {
    if (this.status === 0) this.#report(0, "timeout");
    this.giveUpAttempt("attempt-timeout", LOCAL_REPLY.attemptTimeout);
  }

  protected override onFinished(): void {
    super.onFinished();
    this.#deadline?.cancel();
    this.#tunnelling?.endTunnel();
    this.#endAttempt();
  }

  override onResponse(head: ResponseHead): void {
    const endpoint = this.#endpoint;
    if (endpoint !== null && endpoint.health !== null) {
      this.#outcomeFollows = this.isGrpc && outcomeFollows(head.status, head.headers);
      if (!this.#outcomeFollows) this.#report(answerOutcome(head.status, head.headers), null);
    }
    if (this.#setCookie !== null) head.headers.push("set-cookie", this.#setCookie);
    super.onResponse(head);
  }

  override onResponseEnd(trailers: HeaderList | null): void {
    // Trailers without a status: the call ended in a way that gRPC does not have.
    if (this.#outcomeFollows) this.#report(answerOutcome(500, trailers ?? []), null);
    super.onResponseEnd(trailers);
  }

  override onUpstreamReset(reason: ResetReason, processed: boolean): void {
    this.#report(0, reason);
    super.onUpstreamReset(reason, processed);
  }

  /** Tells the cluster how an attempt went. */
  #report(status: number, reason: ResetReason | null): void {
    this.#endpoint?.report(status, reason);
  }

  protected override prepare(): void {
    const { headers } = this.head;
    // Those of the attempt before. Setting the length of an array is slow even where it changes nothing.
    if (headers.length > this.fieldCount) headers.length = this.fieldCount;
    if (this.#endpoint !== null) this.addMeshFields(headers, this.#endpoint);
    if (this.attempt > 1) headers.push(ATTEMPT_COUNT_HEADER, String(this.attempt));
  }

  protected override afterFailure(
    attempt: number,
    failure: AttemptFailure,
    processed: boolean,
    sent: boolean,
  ): Target | null {
    this.#endAttempt();
    const policy = this.retries;
    if (policy === null) return null;
    const again = lostOnKeptConnection(this.head, failure, processed) || policy.retriesFailure(failure, sent);
    return again ? this.#next(attempt, policy) : null;
  }

  protected override afterAnswer(attempt: number, { status, headers }: ResponseHead): Target | null {
    this.#endAttempt();
    const policy = this.retries;
    if (policy === null || !policy.retriesAnswer(status, headers, this.isGrpc)) return null;
    return this.#next(attempt, policy);
  }

  protected override backoffMs(attempt: number): number {
    return this.retries === null ? 0 : this.retries.backoffMs(attempt, this.context.random);
  }

  protected override get upstreamIsProxy(): boolean {
    return this.#endpoint !== null && isMeshHop(this.#endpoint.endpoint);
  }

  /** Of whoever calls: on 15001 it is the own workload. Null: nobody knows it. */
  protected get clientAddress(): string | null {
    return this.snapshot.settings.address;
  }

  protected override get proxyName(): string {
    return `outbound ${this.snapshot.settings.workload.key}`;
  }

  /** The outcome of the attempt is known, or nobody waits for it any more. */
  #endAttempt(): void {
    this.#attemptDeadline?.cancel();
    this.#retrying?.endRetry();
    this.#retrying = null;
  }

  #next(attempt: number, policy: CompiledRetryPolicy): Target | null {
    if (attempt > policy.attempts) {
      if (policy.attempts > 0) this.flag(FLAG.retryLimitExceeded);
      return null;
    }
    const { limits } = this.#cluster as CompiledCluster;
    if (limits !== null) {
      if (!limits.beginRetry()) {
        this.flag(FLAG.overflow);
        return null;
      }
      this.#retrying = limits;
    }
    const { avoidPreviousHosts, remoteLocalities } = policy;
    if (this.#endpoint !== null) {
      if (avoidPreviousHosts) (this.#tried ??= []).push(this.#endpoint);
      if (remoteLocalities) (this.#attempted ??= []).push(this.#endpoint);
    }
    return this.#pick();
  }

  #pick(): Target | null {
    const cluster = this.#cluster as CompiledCluster;
    if (this.#goesOn(cluster)) return this.#targetDialled(cluster);
    const endpoint = this.#pinned ?? this.#choose(cluster);
    this.#endpoint = endpoint;
    return endpoint === null ? null : this.targetAt(cluster, endpoint);
  }

  #choose(cluster: CompiledCluster): ClusterEndpoint | null {
    if (this.#attempted === undefined) return cluster.pick(this.#tried, this.#key);
    return cluster.pickElsewhere(this.#attempted, this.#tried, this.#key);
  }

  protected targetAt(compiled: CompiledCluster, endpoint: ClusterEndpoint): Target | null {
    const host = upstreamHost(this.head, this.#ends, endpoint, compiled, this.context);
    return host && { host, edge: endpoint.edge, connectTimeoutMs: compiled.cluster.connectTimeoutMs };
  }

  /** Whether it goes to where the client was going. */
  #goesOn({ cluster }: CompiledCluster): boolean {
    return this.#dialled !== null && cluster.toOriginalDestination === true;
  }

  #targetDialled(compiled: CompiledCluster): Target | null {
    const { cluster, unserved: edge } = compiled;
    const host = dialledHost(this.head, this.#ends, this.#dialled as Address, compiled, this.context);
    return host && { host, edge, connectTimeoutMs: cluster.connectTimeoutMs };
  }

  /** Bytes that go through an HTTP proxy ask it for where they are to go. */
  protected override get upstreamHead(): RequestHead {
    const { head } = this;
    if (this.#endpoint === null || this.#cluster === null) return head;
    const tunnel = tunnelOf(head, this.#endpoint, this.#cluster.cluster);
    return tunnel === undefined ? head : tunnelHead(tunnel);
  }

  /** What the other proxy is told, where there is one. */
  protected addMeshFields(headers: HeaderList, { endpoint }: ClusterEndpoint): void {
    if (isMeshHop(endpoint)) {
      const peer = this.head.http2 === true ? this.snapshot.http2Peer : this.snapshot.peer;
      headers.push(PORT_HEADER, String(endpoint.port), PEER_HEADER, peer);
    }
  }
}
