/** The calls of the own workload: from the request's authority to a route, a cluster, an endpoint. */
import type { Random } from "../../lib/prng.ts";
import type { ProxySettings } from "../../model/snapshot.ts";
import { NO_KEY } from "../cluster/balancer/balancer.ts";
import type { CompiledCluster } from "../cluster/cluster.ts";
import type { ClusterEndpoint } from "../cluster/cluster_endpoint.ts";
import type { HostAddress } from "../cluster/connect_attempt.ts";
import { answerOutcome, outcomeFollows } from "../cluster/health/answer_outcome.ts";
import type { Host } from "../cluster/host.ts";
import type { HostTable } from "../cluster/host_table.ts";
import type { PoolLimits } from "../cluster/pool_limits.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import type { CompiledSnapshot, PinnedEndpoint } from "../compiled_snapshot.ts";
import type { Address } from "../../runtime/socket.ts";
import type {
  Acceptor,
  HeaderList,
  RequestHead,
  ResetReason,
  ResponseHead,
  ServerHandler,
  ServerStream,
} from "../exchange.ts";
import { isGrpc, LOCAL_REPLY, type LocalReply } from "../local_reply.ts";
import { describePeer, PEER_HEADER, PORT_HEADER, takeMeshHeaders } from "../mesh_headers.ts";
import type { Found } from "../route/listener_table.ts";
import { normalPath } from "../route/normal_path.ts";
import { canonicalAuthority, type CompiledVirtualHost, findRoute, pickTarget } from "../route/route_table.ts";
import { connectHead, formatAuthority } from "../tcp/server_connection.ts";
import { type ExchangeContext, HttpExchange, type Target } from "./http_exchange.ts";
import { ensureEntryHeaders } from "./entry_headers.ts";

/** Istio's default retry policy: two more attempts where nothing can have been processed, 25 ms base back-off. */
export const RETRIES_MAX = 2;
const BACKOFF_BASE_MS = 25;

/** A connection to a host that the mesh does not know must stand within this (Envoy's default). */
const PASSTHROUGH_CONNECT_TIMEOUT_MS = 10_000;

export interface OutboundOptions extends ExchangeContext {
  readonly random: Random;
  readonly hosts: HostTable;
  /** The snapshot that serves now. */
  current(): CompiledSnapshot;
  /** An address that leads back to this proxy: passing a request on to it would never end. */
  isOwnAddress(hostname: string, port: number): boolean;
}

/** Where a captured connection was going, and how requests on it are passed on to there. */
export interface Captured {
  readonly destination: Address;
  readonly protocol: "http1" | "http2";
}

/** A connection of which no request is read. At least one of the two says where it leads. */
export interface TcpConnection {
  /** Where it was going when it was captured; null: it was not. */
  readonly destination: Address | null;
  /** The name that TLS asks for. */
  readonly serverName: string | null;
}

/** Where TLS is spoken that was not captured: what a URL without a port means. */
const HTTPS_PORT = 443;

export class OutboundAcceptor implements Acceptor {
  readonly #options: OutboundOptions;
  /** Own description for the mesh hop, of the settings that it was made from. */
  #described: ProxySettings | null = null;
  #peer = "";

  constructor(options: OutboundOptions) {
    this.#options = options;
  }

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    return this.acceptFrom(null, stream, head, ended);
  }

  /** Takes a request that came on a captured connection, or on any other for null. */
  acceptFrom(
    captured: Captured | null,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
  ): ServerHandler {
    const { current, random } = this.#options;
    const snapshot = current();
    takeMeshHeaders(head.headers);
    ensureEntryHeaders(head, random);
    const exchange = this.#exchange(snapshot, stream, head, ended);
    this.#route(exchange, snapshot, head, captured);
    return exchange;
  }

  /** Takes bytes: to the service that TLS names, else to the one that was dialled, else to where they were going. */
  acceptTcp(stream: ServerStream, connection: TcpConnection): ServerHandler {
    const { destination, serverName } = connection;
    const snapshot = this.#options.current();
    const named = serverName === null
      ? undefined
      : snapshot.listeners.byServerName(serverName, destination?.port ?? null);
    const found = named !== undefined
      ? { listener: named, endpoint: null }
      : destination && snapshot.listeners.byAddress(destination.hostname, destination.port);
    const port = found?.listener.listener.port ?? HTTPS_PORT;
    const to = destination ?? { hostname: serverName ?? "", port };
    const exchange = this.#exchange(snapshot, stream, connectHead(formatAuthority(to)), false);
    if (this.#options.inFlight.refuses()) exchange.reply(LOCAL_REPLY.tooManyRequests, snapshot.unrouted);
    else if (found) this.#routeTcp(exchange, snapshot, found, to);
    else this.#passOn(exchange, snapshot, { ...to, protocol: "tcp" });
    return exchange;
  }

  onMalformed(status: number): void {
    this.#options.current().unrouted.record(status, "DPE", 0);
  }

  #exchange(
    snapshot: CompiledSnapshot,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
  ): OutboundExchange {
    return new OutboundExchange(this.#options, snapshot, this.#describe(snapshot), stream, head, ended);
  }

  #route(
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    head: RequestHead,
    captured: Captured | null,
  ): void {
    if (this.#options.inFlight.refuses()) {
      return exchange.reply(LOCAL_REPLY.tooManyRequests, snapshot.unrouted);
    }
    const path = normalPath(head.path);
    if (typeof path !== "string") return exchange.reply(path, snapshot.unrouted);
    head.path = path;
    const virtualHost = snapshot.routes.virtualHost(head.authority);
    if (virtualHost !== undefined) this.#routeBy(virtualHost, exchange, snapshot, head);
    else if (captured === null) this.#passThrough(exchange, snapshot, head);
    else this.#routeCaptured(exchange, snapshot, head, captured);
  }

  #routeTcp(
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    { listener: { routes, listener }, endpoint }: Found<CompiledCluster, PinnedEndpoint>,
    destination: Address,
  ): void {
    if (endpoint !== null) return exchange.sendTo(endpoint.cluster, endpoint, destination);
    const [route] = routes;
    const cluster = route === undefined ? null : pickTarget(route, this.#options.random);
    if (cluster !== null) exchange.sendTo(cluster, null, destination);
    else exchange.reply(LOCAL_REPLY.noCluster, snapshot.unserved(listener.service));
  }

  #routeBy(
    virtualHost: CompiledVirtualHost<CompiledCluster>,
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    head: RequestHead,
  ): void {
    const route = findRoute(virtualHost, head);
    const { service } = virtualHost.virtualHost;
    if (route === undefined) return exchange.reply(LOCAL_REPLY.noRoute, snapshot.unserved(service));
    const cluster = pickTarget(route, this.#options.random);
    if (cluster === null) return exchange.reply(LOCAL_REPLY.noCluster, snapshot.unserved(service));
    exchange.sendTo(cluster);
  }

  /** No service has the authority: where the connection was going decides. */
  #routeCaptured(
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    head: RequestHead,
    { destination, protocol }: Captured,
  ): void {
    const found = snapshot.listeners.byAddress(destination.hostname, destination.port);
    if (found !== undefined && found.endpoint !== null) {
      return exchange.sendTo(found.endpoint.cluster, found.endpoint);
    }
    const virtualHost = found && snapshot.routes.virtualHost(found.listener.listener.name);
    if (virtualHost !== undefined) return this.#routeBy(virtualHost, exchange, snapshot, head);
    // A CONNECT was meant for the proxy at that address.
    this.#passOn(exchange, snapshot, { ...destination, protocol });
  }

  /** Nothing but the authority says where the request is to go. */
  #passThrough(exchange: OutboundExchange, snapshot: CompiledSnapshot, head: RequestHead): void {
    const protocol = head.tunnel === "connect" ? "tcp" : "http1";
    const address = splitAuthority(head.authority);
    this.#passOn(exchange, snapshot, address && { ...address, protocol });
  }

  /** MeshConfig.outboundTrafficPolicy: hosts that nobody declared. Null: it says nowhere to go. */
  #passOn(
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    address: Pick<HostAddress, "hostname" | "port" | "protocol"> | null,
  ): void {
    if (snapshot.settings.outboundPolicy === "REGISTRY_ONLY") {
      return exchange.reply(LOCAL_REPLY.blocked, snapshot.unrouted);
    }
    if (address === null || this.#options.isOwnAddress(address.hostname, address.port)) {
      return exchange.reply(LOCAL_REPLY.noRoute, snapshot.unrouted);
    }
    exchange.send({
      host: this.#options.hosts.passthrough({ ...address, spiffeId: null }),
      edge: snapshot.passthrough,
      connectTimeoutMs: PASSTHROUGH_CONNECT_TIMEOUT_MS,
    });
  }

  #describe(snapshot: CompiledSnapshot): string {
    if (this.#described !== snapshot.settings) {
      this.#described = snapshot.settings;
      this.#peer = describePeer(snapshot.settings.workload);
    }
    return this.#peer;
  }
}

class OutboundExchange extends HttpExchange {
  readonly #options: OutboundOptions;
  readonly #snapshot: CompiledSnapshot;
  readonly #peer: string;
  /** Fields of the request itself; those for the mesh hop come after. */
  readonly #fieldCount: number;
  #cluster: CompiledCluster | null = null;
  #endpoint: ClusterEndpoint | null = null;
  /** Endpoints of the attempts that failed; undefined before the first retry. */
  #tried: ClusterEndpoint[] | undefined;
  /** What the cluster's endpoints are chosen by, and the cookie that goes with it. */
  #key: number = NO_KEY;
  #setCookie: string | null = null;
  /** The answer has begun, and its trailers will tell what it was. */
  #outcomeFollows = false;
  /** Where the attempt counts as a retry. */
  #retrying: PoolLimits | null = null;
  /** The only endpoint that will do: the client dialled its own address. */
  #pinned: ClusterEndpoint | null = null;

  constructor(
    options: OutboundOptions,
    snapshot: CompiledSnapshot,
    peer: string,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
  ) {
    super(options, stream, head, ended);
    this.#options = options;
    this.#snapshot = snapshot;
    this.#peer = peer;
    this.#fieldCount = head.headers.length;
  }

  /** `destination`: where bytes were going, for clusters that ask for no more. */
  sendTo(
    cluster: CompiledCluster,
    pinned: PinnedEndpoint | null = null,
    destination: Address | null = null,
  ): void {
    if (destination !== null && cluster.cluster.toOriginalDestination === true) {
      const { hosts } = this.#options;
      const host = hosts.passthrough({ ...destination, spiffeId: null, protocol: "tcp" });
      const { connectTimeoutMs } = cluster.cluster;
      return this.send({ host, edge: cluster.unserved, connectTimeoutMs });
    }
    this.#cluster = cluster;
    this.#pinned = pinned?.endpoint ?? null;
    if (cluster.hashPolicy !== null) {
      // Whoever calls on 15001 is the own workload.
      const { address } = this.#snapshot.settings;
      ({ key: this.#key, setCookie: this.#setCookie } = cluster.hashPolicy.keyOf(this.head, address));
    }
    const target = this.#pick();
    if (target === null) this.reply(LOCAL_REPLY.noHealthyUpstream, cluster.unserved);
    else this.send(target);
  }

  protected override prepare(): void {
    const { headers } = this.head;
    headers.length = this.#fieldCount;
    const endpoint = this.#endpoint?.endpoint;
    if (endpoint !== undefined && endpoint.meshPort !== null) {
      headers.push(PORT_HEADER, String(endpoint.port), PEER_HEADER, this.#peer);
    }
  }

  protected override retarget(attempt: number): Target | null {
    if (attempt > RETRIES_MAX || this.#cluster === null) return null;
    const { limits } = this.#cluster;
    if (limits !== null) {
      if (!limits.beginRetry()) return null;
      this.#retrying = limits;
    }
    if (this.#endpoint !== null) (this.#tried ??= []).push(this.#endpoint);
    return this.#pick();
  }

  override reply(reply: LocalReply, edge: Edge): void {
    this.#endRetry();
    super.reply(reply, edge);
  }

  override onDownstreamReset(reason: ResetReason): void {
    this.#endRetry();
    super.onDownstreamReset(reason);
  }

  override onResponse(head: ResponseHead): void {
    this.#endRetry();
    if (this.#endpoint !== null && this.#endpoint.health !== null) {
      this.#outcomeFollows = isGrpc(this.head) && outcomeFollows(head.status, head.headers);
      if (!this.#outcomeFollows) this.#endpoint.report(answerOutcome(head.status, head.headers), null);
    }
    if (this.#setCookie !== null) head.headers.push("set-cookie", this.#setCookie);
    super.onResponse(head);
  }

  override onResponseEnd(trailers: HeaderList | null): void {
    // Trailers without a status: the call ended in a way that gRPC does not have.
    if (this.#outcomeFollows) this.#endpoint?.report(answerOutcome(500, trailers ?? []), null);
    super.onResponseEnd(trailers);
  }

  override onUpstreamReset(reason: ResetReason, processed: boolean): void {
    this.#endRetry();
    this.#endpoint?.report(0, reason);
    super.onUpstreamReset(reason, processed);
  }

  /** Envoy's fully jittered exponential back-off. */
  protected override backoffMs(attempt: number): number {
    return this.#options.random.float() * (2 ** attempt - 1) * BACKOFF_BASE_MS;
  }

  protected override get upstreamIsProxy(): boolean {
    const meshPort = this.#endpoint?.endpoint.meshPort ?? null;
    return meshPort !== null;
  }

  protected override get proxyName(): string {
    return `outbound ${this.#snapshot.settings.workload.key}`;
  }

  /** A proxy understands CONNECT; a plain endpoint is what the tunnel leads to. */
  #hostOf({ endpoint, host }: ClusterEndpoint): Host {
    if (this.head.tunnel !== "connect" || endpoint.meshPort !== null) return host;
    const { address: hostname, port } = endpoint;
    return this.#options.hosts.passthrough({ hostname, port, spiffeId: null, protocol: "tcp" });
  }

  /** The outcome of the attempt is known, or nobody waits for it any more. */
  #endRetry(): void {
    if (this.#retrying === null) return;
    this.#retrying.endRetry();
    this.#retrying = null;
  }

  #pick(): Target | null {
    const { cluster } = this.#cluster as CompiledCluster;
    const endpoint = this.#pinned ?? (this.#cluster as CompiledCluster).pick(this.#tried, this.#key);
    this.#endpoint = endpoint;
    if (endpoint === null) return null;
    return { host: this.#hostOf(endpoint), edge: endpoint.edge, connectTimeoutMs: cluster.connectTimeoutMs };
  }
}

/** Host and port of an authority; port 80 when it has none. Null: there is no host. */
function splitAuthority(authority: string): { hostname: string; port: number } | null {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::([0-9]+))?$/.exec(canonicalAuthority(authority));
  if (match === null) return null;
  const port = match[3] === undefined ? 80 : Number(match[3]);
  return port > 0 && port < 65_536 ? { hostname: (match[1] ?? match[2]) as string, port } : null;
}
