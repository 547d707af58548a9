/** The calls to the own workload: from an authenticated peer to the port that the request is for. */
import { NO_PROXIES_BEFORE } from "../../model/gateway_topology.ts";
import { parseSpiffeId, type SpiffeId } from "../../model/spiffe_id.ts";
import type { WorkloadInfo } from "../../model/call_info.ts";
import { setOwner, type Wire, type WireOwner } from "../../runtime/wire.ts";
import type { CallRecorder, RecordedCaller } from "../../telemetry/call_recorder.ts";
import { type Edge, type EdgeRegistry, UNKNOWN_WORKLOAD } from "../../telemetry/edge_metrics.ts";
import type { Host } from "../cluster/host.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import type { InboundService } from "../inbound_service.ts";
import type { Acceptor, RequestHead, ServerHandler, ServerStream } from "../exchange.ts";
import { StreamWire } from "../io/stream_wire.ts";
import { LOCAL_REPLY } from "../local_reply.ts";
import {
  appended,
  BROUGHT_BY_PROXIES,
  CLIENT_CERT_HEADER,
  clientCertificateValue,
  clientSpeaksHttp2,
  type PeerDescriptions,
  readPeer,
  takeMeshHeaders,
} from "../mesh_headers.ts";
import { PolicyCall, type PolicyDestination, type PolicyPeer } from "../policy/policy_call.ts";
import type { BoundPolicies } from "../policy/policy_table.ts";
import { normalPath } from "../route/normal_path.ts";
import { connectHead } from "../tcp/server_connection.ts";
import { authenticate } from "./authenticate.ts";
import type { ExchangeContext } from "./exchange_context.ts";
import { InboundExchange } from "./inbound_exchange.ts";
import type { Target } from "./http_exchange.ts";

export interface InboundOptions extends ExchangeContext {
  readonly edges: EdgeRegistry;
  readonly calls: CallRecorder;
  readonly descriptions: PeerDescriptions;
  current(): CompiledSnapshot;
  /** Whether one more connection may be open, as those that are inside another one are to the proxy. */
  admits(): boolean;
  /** Reads requests from a connection inside another one. `bytes` takes those that begin none; null: nobody does. */
  readRequests(wire: Wire, acceptor: Acceptor, bytes: AcceptBytes | null): WireOwner;
}

type AcceptBytes = (stream: ServerStream) => ServerHandler;

interface InboundTarget extends Target {
  /** For requests of clients that speak HTTP/2; mostly the same. */
  readonly http2: Target;
  readonly tunnelHost: Host;
  readonly destination: PolicyDestination;
  /** The port is declared to carry HTTP: what comes through a tunnel is requests, too. */
  readonly readable: boolean;
  /** Nothing is declared of the port. */
  readonly undeclared: boolean;
  /** The port is declared to carry bytes, and requests are to policies what any bytes are (as in Istio). */
  readonly opaque: boolean;
  /** What holds for this caller's requests; null: no policy selects the workload. */
  readonly policies: BoundPolicies | null;
  readonly calls: RecordedCaller;
}

/** One for each connection: it knows who is at the other end. */
export class InboundAcceptor implements Acceptor {
  readonly #options: InboundOptions;
  readonly #peer: PolicyPeer;
  readonly #principal: string;
  readonly #identity: SpiffeId;
  /** The edge of the latest request: most connections carry one caller to one service. */
  #latest:
    | {
      services: CompiledSnapshot["inbound"];
      table: CompiledSnapshot["policies"];
      port: string;
      peer: string;
      target: InboundTarget;
    }
    | null = null;
  /** The caller as last described, for what reached no service. */
  #source: WorkloadInfo;

  readonly #clientCertificate: string;

  /** `peer` is who the handshake proved it to be, `certificateHash` of the certificate that proved it. */
  constructor(options: InboundOptions, peer: PolicyPeer, certificateHash: string) {
    this.#options = options;
    this.#peer = peer;
    const principal = `spiffe://${peer.principal}`;
    const own = options.current().settings.workload.principal;
    this.#clientCertificate = clientCertificateValue(own, principal, certificateHash);
    this.#principal = principal;
    this.#identity = parseSpiffeId(principal) as SpiffeId;
    this.#source = readPeer(undefined, this.#identity, principal);
  }

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    const { port, peer, clientCert } = takeMeshHeaders(head.headers, BROUGHT_BY_PROXIES);
    // Behind what a gateway says of its client: who proved what to whom is read from the end.
    head.headers.push(CLIENT_CERT_HEADER, appended(clientCert, this.#clientCertificate));
    const snapshot = this.#options.current();
    const asked = port ?? askedPort(head.authority, snapshot.inbound);
    const target = this.#target(snapshot, asked, peer ?? "");
    const isRead = target?.readable || (target?.undeclared && snapshot.tokens !== null);
    if (head.tunnel === "connect" && isRead) {
      if (this.#options.admits()) return this.#readRequests(stream, asked, peer ?? "", target.readable);
      const exchange = this.#exchange(snapshot, stream, head, ended);
      exchange.reply(LOCAL_REPLY.tooManyRequests, this.#edge(snapshot, null));
      return exchange;
    }
    return this.#accept(snapshot, target, stream, head, ended, clientSpeaksHttp2(peer, head.http2 === true));
  }

  onMalformed(status: number): void {
    this.#edge(this.#options.current(), null).record(status, "DPE", 0);
  }

  #accept(
    snapshot: CompiledSnapshot,
    target: InboundTarget | null,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
    http2: boolean,
  ): ServerHandler {
    const exchange = this.#exchange(snapshot, stream, head, ended);
    if (this.#options.inFlight.refuses()) {
      exchange.reply(LOCAL_REPLY.tooManyRequests, this.#edge(snapshot, null));
    } else if (target === null) exchange.reply(LOCAL_REPLY.noPort, this.#edge(snapshot, null));
    else if (head.tunnel === "connect") this.#tunnel(exchange, target, snapshot);
    else this.#receive(exchange, snapshot, target, http2 ? target.http2 : target, head);
    return exchange;
  }

  #exchange(
    { settings: { workload } }: CompiledSnapshot,
    stream: ServerStream,
    head: RequestHead,
    ended: boolean,
  ): InboundExchange {
    return new InboundExchange(this.#options, workload.key, stream, head, ended);
  }

  /** Takes requests that are all for one port; what they say about that, and all else that only proxies may, is gone. */
  requestsTo(port: string, peer: string): Acceptor {
    return {
      accept: (stream, head, ended) => {
        takeMeshHeaders(head.headers);
        head.headers.push(CLIENT_CERT_HEADER, this.#clientCertificate);
        const snapshot = this.#options.current();
        // A tunnel would lead back here.
        const target = head.tunnel === "connect" ? null : this.#target(snapshot, port, peer);
        return this.#accept(snapshot, target, stream, head, ended, head.http2 === true);
      },
      onMalformed: (status) => this.onMalformed(status),
    };
  }

  /**
   * A tunnel to a port that carries HTTP: what is inside are requests of the same peer, as tokens and policies have to see
   * them. As bytes they could say whatever only this proxy may, and bring any token. Where nothing is declared and rules
   * about tokens hold, the first bytes tell what they are.
   */
  #readRequests(stream: ServerStream, port: string, peer: string, always: boolean): ServerHandler {
    const wire = new StreamWire(stream, this.#peer.address);
    const bytes = (stream: ServerStream) => {
      const snapshot = this.#options.current();
      const target = this.#target(snapshot, port, peer);
      return this.#accept(snapshot, target, stream, connectHead(`:${port}`), false, false);
    };
    setOwner(wire, this.#options.readRequests(wire, this.requestsTo(port, peer), always ? null : bytes));
    return wire;
  }

  /** Bytes, of which policies see where they come from and where they go. */
  #tunnel(exchange: InboundExchange, target: InboundTarget, snapshot: CompiledSnapshot): void {
    this.#admitBytes(exchange, snapshot, target, { ...target, host: target.tunnelHost });
  }

  #admitBytes(
    exchange: InboundExchange,
    { policies }: CompiledSnapshot,
    { destination, calls, edge }: InboundTarget,
    to: Target,
  ): void {
    const bound = policies?.bind(this.#peer, destination, "tcp") ?? null;
    const passes = bound === null ||
      exchange.passesBytes(bound, new PolicyCall(this.#peer, destination, null));
    calls.recordConnection(passes);
    if (passes) exchange.send(to);
    else exchange.refuse(edge);
  }

  /** The peer has brought the path into its form already, if it is a proxy as it should be. */
  #receive(
    exchange: InboundExchange,
    snapshot: CompiledSnapshot,
    target: InboundTarget,
    to: Target,
    head: RequestHead,
  ): void {
    const path = normalPath(head.path, snapshot.settings.pathNormalization);
    if (typeof path !== "string") return exchange.reply(path, target.edge);
    head.path = path;
    if (target.opaque) return this.#admitBytes(exchange, snapshot, target, to);
    const { tokens } = snapshot;
    if (tokens === null) return this.#ask(exchange, snapshot, target, to, head);
    authenticate(tokens, exchange, head, target.edge, () => this.#ask(exchange, snapshot, target, to, head));
  }

  /** Somebody else, if a policy says so. */
  #ask(
    exchange: InboundExchange,
    snapshot: CompiledSnapshot,
    target: InboundTarget,
    to: Target,
    head: RequestHead,
  ): void {
    const { policies, destination, edge } = target;
    if (policies === null) return this.#admit(exchange, target, to, head, null);
    const { trustedProxies } = snapshot.settings.gatewayTopology ?? NO_PROXIES_BEFORE;
    const call = new PolicyCall(this.#peer, destination, head, trustedProxies);
    const asks = policies.asks(call);
    if (asks === null) return this.#admit(exchange, target, to, head, call);
    const admit = () => {
      const changed = new PolicyCall(this.#peer, destination, head, trustedProxies);
      this.#admit(exchange, target, to, head, changed);
    };
    const denied = () => target.calls.recordRequest(head.method, head.authority, head.path, false);
    exchange.ask(asks, snapshot.authorizer, edge, admit, denied);
  }

  /** `call` is null where no policy selects the workload. */
  #admit(
    exchange: InboundExchange,
    { policies, calls, edge }: InboundTarget,
    to: Target,
    head: RequestHead,
    call: PolicyCall | null,
  ): void {
    const passes = policies === null || call === null || exchange.passes(policies, call);
    calls.recordRequest(head.method, head.authority, head.path, passes);
    if (passes) exchange.send(to);
    else exchange.refuse(edge);
  }

  /** Only ports that a service declares, or did a moment ago, are open to the mesh; null for any other. */
  #target(snapshot: CompiledSnapshot, port: string, peer: string): InboundTarget | null {
    const latest = this.#latest;
    // Holding on to the whole snapshot would keep an old one alive as long as the connection.
    const services = snapshot.inbound;
    const { policies } = snapshot;
    if (
      latest !== null && latest.services === services && latest.table === policies && latest.port === port &&
      latest.peer === peer
    ) return latest.target;
    if (!/^[1-9][0-9]{0,4}$/.test(port)) return null;
    const { descriptions, clock } = this.#options;
    const open = services.get(Number(port));
    const inbound = open ?? snapshot.closing.get(Number(port), clock.monotonic());
    if (inbound === undefined) return null;
    this.#source = readPeer(
      descriptions.admit(this.#principal, peer),
      this.#identity,
      this.#principal,
    );
    const destination = { address: snapshot.settings.address, port: Number(port) };
    const { host, http2Host, connectTimeoutMs } = inbound;
    const to: Target = { host, edge: this.#edge(snapshot, inbound), connectTimeoutMs };
    const target = {
      ...to,
      http2: http2Host === host ? to : { ...to, host: http2Host },
      destination,
      readable: inbound.declared === "http",
      undeclared: inbound.declared === "auto",
      opaque: inbound.declared === "tcp" || inbound.declared === "tls",
      policies: policies?.bind(this.#peer, destination, "http") ?? null,
      calls: this.#options.calls.caller({
        principal: this.#peer.principal,
        caller: this.#source.key,
        address: this.#peer.address,
        port: destination.port,
      }),
      tunnelHost: inbound.tunnelHost,
    };
    // One that closes is asked for the time at every call.
    if (open !== undefined) this.#latest = { services, table: policies, port, peer, target };
    return target;
  }

  #edge(snapshot: CompiledSnapshot, inbound: InboundService | null): Edge {
    return this.#options.edges.edge({
      reporter: "destination",
      source: this.#source,
      destination: snapshot.settings.workload,
      service: inbound?.service ??
        { host: "unknown", name: UNKNOWN_WORKLOAD.name, namespace: UNKNOWN_WORKLOAD.namespace },
      mtls: true,
    });
  }
}

/**
 * For a peer of the mesh that is no proxy of ours and so names no port: that of the authority if the workload serves
 * there, else the only one that it serves.
 */
function askedPort(authority: string, services: ReadonlyMap<number, InboundService>): string {
  const port = /:([0-9]{1,5})$/.exec(authority)?.[1] ?? "";
  if (services.has(Number(port))) return port;
  const [only, another] = services.keys();
  return only === undefined || another !== undefined ? port : String(only);
}
