/**
 * One address that requests are sent to, and its pool of connections: plain to the address, or mTLS to the mesh
 * listener in front of it. Hosts outlive snapshots, so that a change of routes costs no connection.
 */
import type { TimerWheel } from "../../lib/timer_wheel.ts";
import { type ConnectionTerms, TERMS_DEFAULT } from "../connection_terms.ts";
import type { ClientHandler, ClientStream, RequestHead } from "../exchange.ts";
import { Http1ClientConnection } from "../http1/client_connection.ts";
import { Http2ClientConnection, STREAMS_ASSUMED } from "../http2/client_connection.ts";
import { meshHopTerms } from "../mesh_hop.ts";
import { DOUBT_MS } from "../http2/keepalive.ts";
import { TcpClientConnection } from "../tcp/client_connection.ts";
import type { Wire } from "../../runtime/wire.ts";
import type { TcpKeepalive } from "../../runtime/tcp_keepalive.ts";
import type { UpstreamConnection, UpstreamOwner } from "../upstream_connection.ts";
import { ConnectAttempt, type ConnectContext, type HostAddress } from "./connect_attempt.ts";
import { HostUsage } from "./host_usage.ts";
import type { PoolLimits } from "./pool_limits.ts";

/** Requests that may wait for a connection of one host; above: 503 UO. */
export const PENDING_REQUESTS_MAX = 10_000;
/** Idle connections kept to one host; further ones are closed when they fall idle. */
export const IDLE_CONNECTIONS_MAX = 1_024;

export function hostKey(address: HostAddress): string {
  const { hostname, port, spiffeId, serverName = "", protocol, pool, tls, proxyProtocol } = address;
  const peer = spiffeId === null
    ? tls === undefined ? "plain" : JSON.stringify(tls)
    : `${spiffeId} ${serverName}`;
  const said = proxyProtocol === undefined ? "" : JSON.stringify(proxyProtocol);
  return `${hostname}|${port}|${peer}|${protocol}|${pool ?? ""}|${said}`;
}

/** Between attempts to reach a host of the mesh that is silent, doubled each time up to the second. */
const SEEK_PAUSE_MS = 1_000;
const SEEK_PAUSE_MAX_MS = 16_000;

/** What hosts need from the process around them. */
export interface HostContext extends ConnectContext {
  readonly wheel: TimerWheel;
  /** Absent: the kernel watches over no connection. */
  setTcpKeepalive?(wire: Wire, keepalive: TcpKeepalive): void;
  /** Of a connection on which nothing but the kernel's buffers holds up a sender. Absent: these are as they are. */
  boundReceiveBuffer?(wire: Wire): void;
  /** Of connections for which no cluster has others. @default TERMS_DEFAULT */
  readonly terms?: ConnectionTerms;
}

/** A request that waits for its connection. */
export interface PendingRequest extends ClientHandler {
  /** The connection is there: send the head. */
  onConnection(open: (head: RequestHead, ended: boolean) => ClientStream): void;
}

const CONNECTIONS = {
  http1: Http1ClientConnection,
  http2: Http2ClientConnection,
  tcp: TcpClientConnection,
} as const;

const NOTHING = (): void => {};

export class Host implements UpstreamOwner {
  readonly address: HostAddress;
  /** What its cluster limits; null: nothing, and nothing is counted. */
  readonly usage: HostUsage | null;
  /** Of the hosts that stand in for this one. */
  #activeElsewhere = 0;
  readonly #standsInFor: Host | null;
  #active = 0;
  readonly #context: HostContext;
  /** Connections that can take a request; the last one is asked first, so that the others fall idle and close. */
  readonly #free: UpstreamConnection[] = [];
  readonly #pending: PendingRequest[] = [];
  /** Requests that wait for a connection that nobody used before. */
  readonly #wary: PendingRequest[] = [];
  #streamsAssumed = STREAMS_ASSUMED;
  #connecting = 0;
  #retired = false;
  #connectTimeoutMs = 0;
  #isSilent = false;
  #seekPauseMs = SEEK_PAUSE_MS;

  /** `standsInFor`: the host by which a cluster knows the endpoint. */
  constructor(
    address: HostAddress,
    context: HostContext,
    limits: PoolLimits | null = null,
    standsInFor: Host | null = null,
  ) {
    this.address = address;
    this.#standsInFor = standsInFor;
    this.#context = context;
    this.usage = limits === null ? null : new HostUsage(limits, context.wheel);
  }

  countsFor(limits: PoolLimits | null, endpoint: Host | null): boolean {
    return (this.usage?.limits ?? null) === limits && this.#standsInFor === endpoint;
  }

  /** Requests in flight, from being sent here to their end. */
  get active(): number {
    return this.#active;
  }

  set active(count: number) {
    const more = count - this.#active;
    if (this.usage !== null) this.usage.limits.requests += more;
    if (this.#standsInFor !== null) this.#standsInFor.#activeElsewhere += more;
    this.#active = count;
  }

  /** What its endpoint has to do for this proxy: what least-request balancing compares. */
  get load(): number {
    return this.#active + this.#activeElsewhere;
  }

  /**
   * Nothing has come back from there for a while, neither to an attempt to connect nor to a question: whoever may ask
   * another host should. Of the mesh alone, whose hosts are sought until they answer.
   */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /**
   * A connection for the request: the stream at once if one is free, else null, and `onConnection` or
   * `onUpstreamReset` follows. `"overflow"`: too many wait already. `fresh`: none that was used before, since one of
   * them has just closed under this request; the upstream may be closing them all.
   */
  request(
    pending: PendingRequest,
    head: RequestHead,
    ended: boolean,
    connectTimeoutMs: number,
    fresh = false,
  ): ClientStream | null | "overflow" {
    const { usage } = this;
    if (usage !== null && usage.limits.requestsExceeded) return "overflow";
    // Where no connection may be made, one that was used before is better than none.
    const wary = fresh && (usage === null || usage.mayConnect);
    const free = this.#free[this.#free.length - 1];
    if (free !== undefined && !wary) {
      const stream = free.request(pending, head, ended);
      if (free.capacity === 0) this.#unpool(free);
      usage?.onRequest(free);
      return stream;
    }
    if (this.#waiting >= PENDING_REQUESTS_MAX || usage?.limits.pendingFull) return "overflow";
    // One that carries bytes is nobody's again: who waits for it would wait for ever.
    if (this.address.protocol === "tcp" && usage?.limits.connectionsFull) return "overflow";
    (wary ? this.#wary : this.#pending).push(pending);
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#connectForWaiting();
    return null;
  }

  /** The request is not wanted any more. */
  withdraw(pending: PendingRequest): void {
    for (const queue of [this.#wary, this.#pending]) {
      const index = queue.indexOf(pending);
      if (index >= 0) queue.splice(index, 1);
    }
    this.usage?.onWaiting(this.#waiting);
  }

  /** No snapshot names this host any more: connections close when they have nothing left to do. */
  retire(): void {
    this.#retired = true;
    this.#retireFree();
  }

  onDoubt(isDoubted: boolean): void {
    if (!this.#isMeshHop) return;
    if (!isDoubted) {
      this.#isSilent = false;
      return;
    }
    this.#fallSilent();
    this.#seek();
  }

  #fallSilent(): void {
    if (this.#isSilent) return;
    this.#isSilent = true;
    const { hostname, port } = this.address;
    const others = "calls go to other endpoints, if there are any, until it answers";
    this.#context.warn(`Nothing comes back from the proxy at ${hostname}:${port}: ${others}`, "silence");
  }

  /** Connects, though nobody waits for it: who answers that is heard, and asked again. */
  #seek(): void {
    if (!this.#isSilent || this.#retired || this.#connecting > 0) return;
    if (this.usage === null || this.usage.mayConnect) this.#connect(this.#connectTimeoutMs);
    else this.#seekLater();
  }

  #seekLater(): void {
    this.#context.clock.after(this.#seekPauseMs, () => this.#seek());
    this.#seekPauseMs = Math.min(2 * this.#seekPauseMs, SEEK_PAUSE_MAX_MS);
  }

  /** The others lead to the same silence, as far as anybody knows: who asks on them would wait as long once more. */
  onSilent(): void {
    this.#retireFree();
  }

  #retireFree(): void {
    for (const connection of [...this.#free]) {
      this.#unpool(connection);
      connection.retire();
    }
  }

  get isIdle(): boolean {
    return this.active === 0 && this.#waiting === 0 && this.#connecting === 0;
  }

  onCapacity(connection: UpstreamConnection): void {
    this.usage?.onOpen(connection);
    this.#give(connection, this.#pending);
    if (connection.pooled || connection.capacity === 0) return;
    if (this.#retired || this.#free.length >= IDLE_CONNECTIONS_MAX) {
      connection.retire();
    } else {
      connection.pooled = true;
      this.#free.push(connection);
    }
  }

  onGone(connection: UpstreamConnection): void {
    if (connection.pooled) this.#unpool(connection);
    if (this.usage === null) return;
    this.usage.onGone(connection);
    // It may have kept others from being made.
    this.#connectForWaiting();
  }

  get streamsAssumed(): number {
    return this.#streamsAssumed;
  }

  /** The next connection is not given more before it has said so as well: the peer would refuse what is too many. */
  onStreamsMax(streams: number): void {
    this.#streamsAssumed = Math.min(Math.max(streams, 1), STREAMS_ASSUMED);
  }

  /** Requests that a new connection is going to take. */
  get #perConnection(): number {
    if (this.address.protocol !== "http2") return 1;
    if (this.usage === null) return this.#streamsAssumed;
    const { requestsPerConnection, terms } = this.usage.limits;
    return Math.min(this.#streamsAssumed, requestsPerConnection, terms.streamsMax);
  }

  get #terms(): ConnectionTerms {
    const terms = this.usage?.limits.terms ?? this.#context.terms ?? TERMS_DEFAULT;
    return this.address.spiffeId === null ? terms : meshHopTerms(terms);
  }

  /** Another proxy's; the control plane speaks HTTP/1.1. */
  get #isMeshHop(): boolean {
    return this.address.spiffeId !== null && this.address.protocol === "http2";
  }

  get #waiting(): number {
    return this.#pending.length + this.#wary.length;
  }

  #give(connection: UpstreamConnection, queue: PendingRequest[]): void {
    while (queue.length > 0 && connection.capacity > 0) {
      this.#giveTo(queue.shift() as PendingRequest, connection);
    }
  }

  /** Apart from the loop, which is asked after every request and should not make room for a closure each time. */
  #giveTo(pending: PendingRequest, connection: UpstreamConnection): void {
    this.usage?.onWaiting(this.#waiting);
    pending.onConnection((head, ended) => connection.request(pending, head, ended));
    this.usage?.onRequest(connection);
  }

  #unpool(connection: UpstreamConnection): void {
    connection.pooled = false;
    const last = this.#free.length - 1;
    if (this.#free[last] === connection) this.#free.pop();
    else this.#free.splice(this.#free.indexOf(connection), 1);
  }

  #connectForWaiting(): void {
    const { usage } = this;
    usage?.onWaiting(this.#waiting);
    if (this.#connecting * this.#perConnection >= this.#waiting) return;
    if (usage === null || usage.mayConnect) this.#connect(this.#connectTimeoutMs);
  }

  #connect(timeoutMs: number): void {
    this.#connecting++;
    this.usage?.onConnect();
    const cancelDoubt = this.#isMeshHop
      ? this.#context.clock.after(DOUBT_MS, () => this.#fallSilent())
      : NOTHING;
    const attempt = new ConnectAttempt(this.#context, this.address, {
      ready: (wire) => {
        this.#connecting--;
        cancelDoubt();
        this.#isSilent = false;
        this.#seekPauseMs = SEEK_PAUSE_MS;
        const { wheel } = this.#context;
        const limits = this.usage?.limits;
        if (limits?.tcpKeepalive !== undefined) this.#context.setTcpKeepalive?.(wire, limits.tcpKeepalive);
        // HTTP/2 has windows.
        if (this.address.protocol !== "http2") this.#context.boundReceiveBuffer?.(wire);
        const connection = new CONNECTIONS[this.address.protocol](wire, this, wheel, this.#terms);
        this.usage?.onConnected(connection);
        this.#give(connection, this.#wary);
        this.onCapacity(connection);
        return connection;
      },
      failed: (reason) => {
        this.#connecting--;
        cancelDoubt();
        this.usage?.onConnectFailed();
        // Any other failure is an answer of some kind.
        if (this.#isMeshHop && reason === "connect-timeout") {
          this.#fallSilent();
          this.#seekLater();
        } else this.#isSilent = false;
        // Whoever waited for this connection: the connections that are still to come could not take more.
        const excess = Math.max(1, this.#waiting - this.#connecting * this.#perConnection);
        const waiting = this.#wary.splice(0, excess);
        waiting.push(...this.#pending.splice(0, excess - waiting.length));
        this.usage?.onWaiting(this.#waiting);
        for (const pending of waiting) pending.onUpstreamReset(reason, false);
      },
    });
    attempt.start(timeoutMs);
  }
}
