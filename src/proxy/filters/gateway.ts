/** Calls from outside to a gateway: by port and server name to a table of virtual hosts, or to a route for bytes. */
import type { Address } from "../../runtime/socket.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import type { Acceptor, HeaderList, RequestHead, ServerHandler, ServerStream } from "../exchange.ts";
import { LOCAL_REPLY, redirect } from "../local_reply.ts";
import { removeMeshHeaders, takeMeshHeaders } from "../mesh_headers.ts";
import { normalPath } from "../route/normal_path.ts";
import { redirectLocation } from "../route/redirect.ts";
import { canonicalAuthority, type CompiledVirtualHost, findRoute } from "../route/route_table.ts";
import { type CompiledTcpRoute, findTcpRoute } from "../route/tcp_route.ts";
import { pickTarget } from "../route/weighted_targets.ts";
import { connectHead, formatAuthority } from "../tcp/server_connection.ts";
import { authenticate } from "./authenticate.ts";
import { type EdgeClient, setEdgeHeaders } from "./edge_headers.ts";
import { type OutboundContext, OutboundExchange } from "./outbound_exchange.ts";
import type { CompiledCluster } from "../cluster/cluster.ts";

export interface GatewayContext extends OutboundContext {
  /** The snapshot that serves now. */
  current(): CompiledSnapshot;
}

/** A connection of which no request is read. */
export interface GatewayBytes {
  readonly routes: readonly CompiledTcpRoute<CompiledCluster>[];
  /** As TLS asks for it, lower case. */
  readonly serverName: string | null;
  /** The gateway's own end. */
  readonly local: Address;
  /** Address of the client. */
  readonly client: string;
}

/** Takes requests of one connection, which came by one table of virtual hosts. */
export class GatewayAcceptor implements Acceptor {
  readonly #context: GatewayContext;
  readonly #table: string;
  readonly #client: EdgeClient;

  constructor(context: GatewayContext, table: string, client: EdgeClient) {
    this.#context = context;
    this.#table = table;
    this.#client = client;
  }

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    const { current, random } = this.#context;
    const snapshot = current();
    takeMeshHeaders(head.headers);
    setEdgeHeaders(head, this.#client, random);
    const { address } = this.#client;
    const exchange = new GatewayExchange(this.#context, snapshot, address, stream, head, ended);
    this.#route(exchange, snapshot, head);
    return exchange;
  }

  onMalformed(status: number): void {
    this.#context.current().unrouted.record(status, "DPE", 0);
  }

  #route(exchange: GatewayExchange, snapshot: CompiledSnapshot, head: RequestHead): void {
    if (this.#context.inFlight.refuses()) {
      return exchange.reply(LOCAL_REPLY.tooManyRequests, snapshot.unrouted);
    }
    const path = normalPath(head.path);
    if (typeof path !== "string") return exchange.reply(path, snapshot.unrouted);
    head.path = path;
    const found = snapshot.tables.get(this.#table)?.virtualHost(edgeHost(head.authority));
    // A gateway is no proxy for hosts that it does not serve, nor for connections to anywhere.
    if (found === undefined || head.tunnel === "connect") {
      return exchange.reply(LOCAL_REPLY.noRoute, snapshot.unrouted);
    }
    const { service, requiresTls = false } = found.virtualHost;
    if (requiresTls && this.#client.scheme === "http") {
      return exchange.reply(
        redirect(301, redirectLocation(HTTPS_REDIRECT, head, null)),
        snapshot.unserved(service),
      );
    }
    const { tokens } = snapshot;
    if (tokens === null) followRoute(exchange, snapshot, found, head);
    else {
      const edge = snapshot.unserved(service);
      authenticate(tokens, exchange, head, edge, () => followRoute(exchange, snapshot, found, head));
    }
  }
}

function followRoute(
  exchange: GatewayExchange,
  snapshot: CompiledSnapshot,
  found: CompiledVirtualHost<CompiledCluster>,
  head: RequestHead,
): void {
  const { service } = found.virtualHost;
  const route = findRoute(found, head);
  if (route === undefined) exchange.reply(LOCAL_REPLY.noRoute, snapshot.unserved(service));
  else exchange.follow(route, service);
}

/** Takes bytes; what no route is for is closed. */
export function acceptGatewayBytes(
  context: GatewayContext,
  { routes, serverName, local, client }: GatewayBytes,
  stream: ServerStream,
): ServerHandler {
  const snapshot = context.current();
  const head = connectHead(formatAuthority(local));
  const exchange = new GatewayExchange(context, snapshot, client, stream, head, false);
  const route = findTcpRoute(routes, serverName, local.hostname);
  const cluster = route === undefined ? null : pickTarget(route.targets, context.random);
  if (context.inFlight.refuses()) exchange.reply(LOCAL_REPLY.tooManyRequests, snapshot.unrouted);
  else if (route === undefined) exchange.reply(LOCAL_REPLY.noRoute, snapshot.unrouted);
  else if (cluster === null) exchange.reply(LOCAL_REPLY.noCluster, snapshot.unrouted);
  else exchange.sendTo(cluster, null, serverName === null ? local : { ...local, hostname: serverName });
  return exchange;
}

/** `httpsRedirect`: where the client was going, over TLS. */
export const HTTPS_REDIRECT = {
  type: "redirect",
  code: 301,
  scheme: "https",
  authority: null,
  port: null,
  path: null,
} as const;

class GatewayExchange extends OutboundExchange {
  readonly #clientAddress: string;

  constructor(
    context: GatewayContext,
    snapshot: CompiledSnapshot,
    clientAddress: string,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
  ) {
    super(context, snapshot, stream, head, ended);
    this.#clientAddress = clientAddress;
  }

  protected override get clientAddress(): string {
    return this.#clientAddress;
  }

  /** What proxies tell each other is nobody else's business. */
  protected override editAnswer(headers: HeaderList): void {
    super.editAnswer(headers);
    removeMeshHeaders(headers);
  }
}

/** Of an authority, since a gateway's hosts are the same at whatever port it is reached. */
export function edgeHost(authority: string): string {
  return canonicalAuthority(authority).replace(/:[0-9]*$/, "");
}
