/** Calls from outside to a gateway: by port and server name to a table of virtual hosts, or to a route for bytes. */
import { NO_PROXIES_BEFORE } from "../../model/gateway_topology.ts";
import type { Address } from "../../runtime/wire.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import type { Acceptor, HeaderList, RequestHead, ServerHandler, ServerStream } from "../exchange.ts";
import { LOCAL_REPLY, redirect } from "../local_reply.ts";
import { removeMeshHeaders, takeMeshHeaders } from "../mesh_headers.ts";
import { PolicyCall, type PolicyDestination, type PolicyPeer } from "../policy/policy_call.ts";
import { normalPath } from "../route/normal_path.ts";
import { redirectLocation } from "../route/redirect.ts";
import { canonicalAuthority, type CompiledVirtualHost, findRoute } from "../route/route_table.ts";
import { type CompiledTcpRoute, findTcpRoute } from "../route/tcp_route.ts";
import { pickTarget } from "../route/weighted_targets.ts";
import { formatAuthority } from "../../lib/authority.ts";
import { connectHead } from "../tcp/server_connection.ts";
import { authenticate } from "./authenticate.ts";
import { type EdgeClient, setEdgeHeaders } from "./edge_headers.ts";
import type { OutboundContext } from "./cluster_exchange.ts";
import { OutboundExchange } from "./outbound_exchange.ts";
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
  readonly peer: PolicyPeer;
  /** The client's. */
  readonly client: Address;
}

/** Takes requests of one connection, which came by one table of virtual hosts. */
export class GatewayAcceptor implements Acceptor {
  readonly #context: GatewayContext;
  readonly #table: string;
  readonly #client: EdgeClient;
  readonly #peer: PolicyPeer;
  readonly #destination: PolicyDestination;

  /** `peer` and `local` are the ends of the connection as policies see them. */
  constructor(context: GatewayContext, table: string, client: EdgeClient, peer: PolicyPeer, local: Address) {
    this.#context = context;
    this.#table = table;
    this.#client = client;
    this.#peer = peer;
    this.#destination = { address: local.hostname, port: local.port };
  }

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    const { current, random } = this.#context;
    const snapshot = current();
    const { clientCert } = takeMeshHeaders(head.headers);
    const { gatewayTopology: topology = NO_PROXIES_BEFORE } = snapshot.settings;
    const address = setEdgeHeaders(head, this.#client, { topology, clientCert }, random);
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
    const path = normalPath(head.path, snapshot.settings.pathNormalization);
    if (typeof path !== "string") return exchange.reply(path, snapshot.unrouted);
    head.path = path;
    const found = snapshot.tables.get(this.#table)?.virtualHost(edgeHost(head.authority));
    // A gateway is no proxy for hosts that it does not serve, nor for connections to anywhere.
    if (found === undefined || head.tunnel === "connect") {
      return exchange.reply(LOCAL_REPLY.noRoute, snapshot.unrouted);
    }
    const { service, requiresTls = false } = found.virtualHost;
    if (requiresTls && head.scheme === "http") {
      return exchange.reply(
        redirect(301, redirectLocation(HTTPS_REDIRECT, head, null)),
        snapshot.unserved(service),
      );
    }
    const { tokens } = snapshot;
    if (tokens === null) return this.#ask(exchange, snapshot, found, head);
    const edge = snapshot.unserved(service);
    authenticate(tokens, exchange, head, edge, () => this.#ask(exchange, snapshot, found, head));
  }

  /** The gateway's own policies, and whoever they say. */
  #ask(exchange: GatewayExchange, snapshot: CompiledSnapshot, found: Found, head: RequestHead): void {
    const { policies, authorizer } = snapshot;
    if (policies === null) return followRoute(exchange, snapshot, found, head);
    const [peer, destination] = [this.#peer, this.#destination];
    const bound = policies.bind(peer, destination, "http");
    const edge = snapshot.unserved(found.virtualHost.service);
    // The last entry of x-forwarded-for is our own.
    const { trustedProxies } = snapshot.settings.gatewayTopology ?? NO_PROXIES_BEFORE;
    const call = () => new PolicyCall(peer, destination, head, trustedProxies);
    const decide = () => {
      const passes = exchange.passes(bound, call());
      if (passes) followRoute(exchange, snapshot, found, head);
      else exchange.refuse(edge);
    };
    const asks = bound.asks(call());
    if (asks === null) decide();
    else exchange.ask(asks, authorizer, edge, decide);
  }
}

type Found = CompiledVirtualHost<CompiledCluster>;

function followRoute(
  exchange: GatewayExchange,
  snapshot: CompiledSnapshot,
  found: Found,
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
  { routes, serverName, local, peer, client }: GatewayBytes,
  stream: ServerStream,
): ServerHandler {
  const snapshot = context.current();
  const to = serverName === null ? local : { ...local, hostname: serverName };
  const head = connectHead(formatAuthority(to));
  const exchange = new GatewayExchange(context, snapshot, peer.address || null, stream, head, false);
  exchange.standFor({ source: client, destination: local });
  const destination = { address: local.hostname, port: local.port };
  const bound = snapshot.policies?.bind(peer, destination, "tcp") ?? null;
  const route = findTcpRoute(routes, serverName, local.hostname);
  const cluster = route === undefined ? null : pickTarget(route.targets, context.random);
  if (context.inFlight.refuses()) exchange.reply(LOCAL_REPLY.tooManyRequests, snapshot.unrouted);
  else if (route === undefined) exchange.reply(LOCAL_REPLY.noRoute, snapshot.unrouted);
  else if (cluster === null) exchange.reply(LOCAL_REPLY.noCluster, snapshot.unrouted);
  else if (bound !== null && !exchange.passesBytes(bound, new PolicyCall(peer, destination, null))) {
    exchange.refuse(cluster.unserved);
  } else exchange.sendTo(cluster);
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
  readonly #clientAddress: string | null;

  constructor(
    context: GatewayContext,
    snapshot: CompiledSnapshot,
    clientAddress: string | null,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
  ) {
    super(context, snapshot, stream, head, ended);
    this.#clientAddress = clientAddress;
  }

  protected override get clientAddress(): string | null {
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
