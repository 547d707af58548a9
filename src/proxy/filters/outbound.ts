/** The calls of the own workload: from the request's authority to a route, a cluster, an endpoint. */
import { parseIp } from "../../lib/ip.ts";
import type { Address } from "../../runtime/wire.ts";
import { splitAuthority } from "../cluster/authority_address.ts";
import type { CompiledCluster } from "../cluster/cluster.ts";
import type { HostAddress } from "../cluster/connect_attempt.ts";
import type { CompiledSnapshot, PinnedEndpoint } from "../compiled_snapshot.ts";
import type { Acceptor, RequestHead, ServerHandler, ServerStream } from "../exchange.ts";
import { LOCAL_REPLY } from "../local_reply.ts";
import { takeMeshHeaders } from "../mesh_headers.ts";
import type { CompiledListener, Found } from "../route/listener_table.ts";
import { findTcpRoute } from "../route/tcp_route.ts";
import { normalPath } from "../route/normal_path.ts";
import { type CompiledVirtualHost, findRoute } from "../route/route_table.ts";
import { pickTarget } from "../route/weighted_targets.ts";
import { formatAuthority } from "../../lib/authority.ts";
import { connectHead } from "../tcp/server_connection.ts";
import { ensureEntryHeaders } from "./entry_headers.ts";
import type { OutboundContext } from "./cluster_exchange.ts";
import { OutboundExchange } from "./outbound_exchange.ts";

/** A connection to a host that the mesh does not know must stand within this (Envoy's default). */
const PASSTHROUGH_CONNECT_TIMEOUT_MS = 10_000;

export interface OutboundOptions extends OutboundContext {
  /** The snapshot that serves now. */
  current(): CompiledSnapshot;
}

/** The connection that a request came on. */
export interface RequestConnection {
  /** Where it was going when it was captured; null: it was dialled straight at the proxy. */
  readonly destination: Address | null;
  /** What it speaks, which whoever the mesh does not know is spoken to as well, as in Istio's PassthroughCluster. */
  readonly protocol: "http1" | "http2";
  /** Whom authorities mean, where they mean something else than at the proxy's own port. */
  virtualHost?(
    snapshot: CompiledSnapshot,
    authority: string,
  ): CompiledVirtualHost<CompiledCluster> | undefined;
}

/** A connection of which no request is read. At least one of the two says where it leads. */
export interface TcpConnection {
  /** Where it was going when it was captured; null: it was not. */
  readonly destination: Address | null;
  /** The name that TLS asks for. */
  readonly serverName: string | null;
  /** Its two ends, as they are seen here; null: it has no addresses. */
  readonly ends: { readonly client: Address; readonly local: Address } | null;
  /**
   * Where it was accepted, if at a door of the sidecar's own. By its number bytes go to the first service that has it; at a
   * socket to that host, null: to none.
   */
  readonly door?: { readonly port: number } | { readonly host: string | null };
}

/** Where TLS is spoken that was not captured: what a URL without a port means. */
const HTTPS_PORT = 443;

export class OutboundAcceptor {
  readonly #options: OutboundOptions;

  constructor(options: OutboundOptions) {
    this.#options = options;
  }

  /** Takes the requests of one connection. */
  requestsOf(connection: RequestConnection): Acceptor {
    return {
      accept: (stream, head, ended) => this.#accept(connection, stream, head, ended),
      onMalformed: (status) => this.onMalformed(status),
    };
  }

  #accept(
    connection: RequestConnection,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
  ): ServerHandler {
    const { current, random } = this.#options;
    const snapshot = current();
    takeMeshHeaders(head.headers);
    ensureEntryHeaders(head, random);
    const exchange = this.#exchange(snapshot, stream, head, ended);
    if (connection.destination !== null) exchange.wasGoingTo(connection.destination);
    this.#route(exchange, snapshot, head, connection);
    return exchange;
  }

  /** Takes bytes: to the service that TLS names, else to the one that was dialled, else to where they were going. */
  acceptTcp(stream: ServerStream, connection: TcpConnection): ServerHandler {
    const { destination, serverName, ends, door } = connection;
    const snapshot = this.#options.current();
    const named = serverName === null
      ? undefined
      : snapshot.listeners.byServerName(serverName, destination?.port ?? null);
    const chosen = named ?? (door === undefined ? undefined : chosenByDoor(snapshot, door));
    const found = chosen !== undefined
      ? { listener: chosen, endpoint: null }
      : destination && snapshot.listeners.byAddress(destination.hostname, destination.port);
    const port = found?.listener.listener.port ?? HTTPS_PORT;
    // At a socket bytes come from nowhere on their way to somewhere.
    const onwards = destination ?? (serverName === null ? null : { hostname: serverName, port });
    const to = onwards ?? { hostname: found?.listener.listener.service.host ?? "unknown", port };
    const exchange = this.#exchange(snapshot, stream, connectHead(formatAuthority(to)), false);
    if (ends !== null) exchange.standFor({ source: ends.client, destination: destination ?? ends.local });
    const isDoor = door !== undefined && (destination !== null || named === undefined);
    if (onwards !== null && !isDoor) exchange.wasGoingTo(onwards);
    if (this.#options.inFlight.refuses()) exchange.reply(LOCAL_REPLY.tooManyRequests, snapshot.unrouted);
    else if (found) this.#routeTcp(exchange, snapshot, found, connection, onwards);
    else this.#passOn(exchange, snapshot, onwards && { ...onwards, protocol: "tcp" });
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
    return new OutboundExchange(this.#options, snapshot, stream, head, ended);
  }

  #route(
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    head: RequestHead,
    connection: RequestConnection,
  ): void {
    if (this.#options.inFlight.refuses()) {
      return exchange.reply(LOCAL_REPLY.tooManyRequests, snapshot.unrouted);
    }
    const path = normalPath(head.path, snapshot.settings.pathNormalization);
    if (typeof path !== "string") return exchange.reply(path, snapshot.unrouted);
    head.path = path;
    if (head.tunnel === "connect" && this.#tunnels(exchange, snapshot, head, connection)) return;
    const virtualHost = connection.virtualHost === undefined
      ? snapshot.routes.virtualHost(head.authority)
      : connection.virtualHost(snapshot, head.authority);
    if (connection.destination === null && connection.virtualHost === undefined && namesAddress(head)) {
      this.#routeToAddress(exchange, snapshot, head, virtualHost, connection.protocol);
    } else if (virtualHost !== undefined) this.#routeBy(virtualHost, exchange, snapshot, head);
    else if (connection.destination === null) {
      this.#passThrough(exchange, snapshot, head, connection.protocol);
    } else this.#routeCaptured(exchange, snapshot, head, connection.destination, connection.protocol);
  }

  /**
   * Whether a CONNECT is for a port of a service that carries bytes: it goes where they would go if the connection had
   * been captured. Whoever asks for a host by name is taken to ask for it in TLS, too: nobody has looked inside yet.
   */
  #tunnels(
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    { authority }: RequestHead,
    { destination, virtualHost }: RequestConnection,
  ): boolean {
    const address = destination === null && virtualHost === undefined ? splitAuthority(authority) : null;
    const listener = address && snapshot.listeners.byAuthority(address.hostname, address.port);
    if (!listener) return false;
    exchange.wasGoingTo(address);
    const byIp = parseIp(address.hostname) !== null;
    const asked = { destination: byIp ? address : null, serverName: byIp ? null : address.hostname };
    this.#routeTcp(exchange, snapshot, { listener, endpoint: null }, asked, address);
    return true;
  }

  #routeTcp(
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    { listener: { routes, listener }, endpoint }: Found<CompiledCluster, PinnedEndpoint>,
    { destination: dialled, serverName }: Pick<TcpConnection, "destination" | "serverName">,
    onwards: Address | null,
  ): void {
    if (endpoint !== null) return exchange.sendTo(endpoint.cluster, endpoint);
    const route = findTcpRoute(routes, serverName, dialled?.hostname ?? null);
    // Rules that are for other names say nothing about this one.
    if (route === undefined) {
      return this.#passOn(exchange, snapshot, onwards && { ...onwards, protocol: "tcp" });
    }
    const cluster = pickTarget(route.targets, this.#options.random);
    if (cluster !== null) exchange.sendTo(cluster);
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
    exchange.follow(route, service);
  }

  /** The request names no host, but an address, which is as good as a connection on its way there. */
  #routeToAddress(
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    head: RequestHead,
    named: CompiledVirtualHost<CompiledCluster> | undefined,
    protocol: "http1" | "http2",
  ): void {
    const address = splitAuthority(head.authority);
    // Of a network, which no authority spells out, or an endpoint's own.
    const found = address && named === undefined
      ? snapshot.listeners.byAddress(address.hostname, address.port)
      : undefined;
    const pinned = found?.endpoint ?? null;
    // One without a sidecar is a stranger like others, and blocked where those are.
    if (pinned !== null && pinned.endpoint.endpoint.meshPort !== null) {
      return exchange.sendTo(pinned.cluster, pinned);
    }
    const virtualHost = named ??
      (found?.endpoint === null ? snapshot.routes.virtualHost(found.listener.listener.name) : undefined);
    if (address === null || virtualHost === undefined) {
      return this.#passThrough(exchange, snapshot, head, protocol);
    }
    exchange.wasGoingTo({ hostname: address.hostname, port: virtualHost.virtualHost.port });
    this.#routeBy(virtualHost, exchange, snapshot, head);
  }

  /** No service has the authority: where the connection was going decides. */
  #routeCaptured(
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    head: RequestHead,
    destination: Address,
    protocol: "http1" | "http2",
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
  #passThrough(
    exchange: OutboundExchange,
    snapshot: CompiledSnapshot,
    head: RequestHead,
    spoken: "http1" | "http2",
  ): void {
    if (head.authority === "") return exchange.reply(LOCAL_REPLY.noHost, snapshot.unrouted);
    // Envoy refuses it in HTTP/1 whoever it is for. Of a service the configuration says how it is called, not the URL.
    if (head.scheme === "https") return exchange.reply(LOCAL_REPLY.httpsInPlainText, snapshot.unrouted);
    const protocol = head.tunnel === "connect" ? "tcp" : spoken;
    const address = splitAuthority(head.authority);
    const isRequest = address !== null && protocol !== "tcp";
    if (isRequest && snapshot.listeners.carriesTls(address.hostname, address.port)) {
      return exchange.reply(LOCAL_REPLY.requestToTls, snapshot.unrouted);
    }
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
      return exchange.reply(LOCAL_REPLY.toProxyItself, snapshot.unrouted);
    }
    exchange.send({
      host: this.#options.hosts.passthrough({ ...address, spiffeId: null }),
      edge: snapshot.passthrough,
      connectTimeoutMs: PASSTHROUGH_CONNECT_TIMEOUT_MS,
    });
  }
}

/** Whether the authority may be an IP address: no decent name begins like one. */
function namesAddress({ authority }: RequestHead): boolean {
  const first = authority.charCodeAt(0);
  return first === OPEN_BRACKET || (first >= DIGIT_0 && first <= DIGIT_9);
}

const OPEN_BRACKET = 0x5b;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

/** The port of a service to which bytes go that were accepted there. */
function chosenByDoor(
  { listeners }: CompiledSnapshot,
  door: NonNullable<TcpConnection["door"]>,
): CompiledListener<CompiledCluster> | undefined {
  if ("port" in door) return listeners.ofPort(door.port)[0];
  const [only, ...others] = door.host === null ? [] : listeners.ofHost(door.host);
  return others.length === 0 ? only : undefined;
}
