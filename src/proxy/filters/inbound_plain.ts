/** The calls to the own workload from outside the mesh: captured on their way to one of its ports, in plain text. */
import type { Random } from "../../lib/prng.ts";
import type { Address } from "../../runtime/wire.ts";
import type { CallRecorder, RecordedCaller } from "../../telemetry/call_recorder.ts";
import { type Edge, UNKNOWN_WORKLOAD } from "../../telemetry/edge_metrics.ts";
import type { Host } from "../cluster/host.ts";
import type { HostTable } from "../cluster/host_table.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import { INBOUND_CONNECT_TIMEOUT_MS } from "../inbound_service.ts";
import type { Acceptor, RequestHead, ServerHandler, ServerStream } from "../exchange.ts";
import { LOCAL_REPLY } from "../local_reply.ts";
import { CLIENT_CERT_HEADER, takeMeshHeaders } from "../mesh_headers.ts";
import { PolicyCall, type PolicyDestination, type PolicyPeer, policyPeer } from "../policy/policy_call.ts";
import type { BoundPolicies, PolicyTable } from "../policy/policy_table.ts";
import { normalPath } from "../route/normal_path.ts";
import { formatAuthority } from "../../lib/authority.ts";
import { connectHead } from "../tcp/server_connection.ts";
import { authenticate } from "./authenticate.ts";
import { ensureEntryHeaders } from "./entry_headers.ts";
import type { ExchangeContext } from "./exchange_context.ts";
import type { Target } from "./http_exchange.ts";
import { InboundExchange } from "./inbound_exchange.ts";

export interface PlainInboundOptions extends ExchangeContext {
  readonly random: Random;
  readonly hosts: HostTable;
  readonly calls: CallRecorder;
  current(): CompiledSnapshot;
}

/** Of a client whose TLS, which is not the mesh's, ended here. */
export interface TlsClient {
  /** For `x-forwarded-client-cert`; null without a certificate. */
  readonly certificate: string | null;
  /** The server name that the client asked for, lower case. */
  readonly serverName: string | null;
}

/** One for each connection: it knows where the connection was going. Nobody says who is at its other end. */
export class PlainInboundAcceptor implements Acceptor {
  readonly #options: PlainInboundOptions;
  readonly #destination: Address;
  readonly #peer: PolicyPeer;
  readonly #policyDestination: PolicyDestination;
  readonly #calls: RecordedCaller;
  readonly #client: TlsClient | null;

  /** `peerAddress` is that of the other end; `client` is what it showed in TLS, null where there was none. */
  constructor(
    options: PlainInboundOptions,
    destination: Address,
    peerAddress: string,
    client: TlsClient | null = null,
  ) {
    this.#options = options;
    this.#destination = destination;
    this.#client = client;
    this.#peer = policyPeer(null, peerAddress, client?.serverName ?? "");
    this.#calls = options.calls.caller({
      principal: "",
      caller: UNKNOWN_WORKLOAD.key,
      address: peerAddress,
      port: destination.port,
    });
    this.#policyDestination = { address: destination.hostname, port: destination.port };
  }

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    const { current, random } = this.#options;
    const snapshot = current();
    const { exchange, edge, inbound } = this.#begin(snapshot, stream, head, ended);
    if (head.tunnel === "connect" && inbound?.declared === "http") {
      // A program that answers any method with 200 would read requests in it, with fields that only proxies may set.
      exchange.reply(LOCAL_REPLY.noRoute, edge);
      return exchange;
    }
    takeMeshHeaders(head.headers);
    const certificate = this.#client === null ? null : this.#client.certificate;
    if (certificate !== null) head.headers.push(CLIENT_CERT_HEADER, certificate);
    ensureEntryHeaders(head, random);
    const path = normalPath(head.path, snapshot.settings.pathNormalization);
    if (typeof path === "string") {
      head.path = path;
      const host = head.http2
        ? inbound?.http2Host ?? this.#beyond("http2")
        : inbound?.host ?? this.#beyond("http1");
      this.#receive(exchange, edge, snapshot, host, head);
    } else exchange.reply(path, edge);
    return exchange;
  }

  /** Takes bytes. */
  acceptTcp(stream: ServerStream): ServerHandler {
    const head = connectHead(formatAuthority(this.#destination));
    const snapshot = this.#options.current();
    const { exchange, edge, inbound } = this.#begin(snapshot, stream, head, false);
    this.#receive(exchange, edge, snapshot, inbound?.tunnelHost ?? this.#beyond("tcp"), null);
    return exchange;
  }

  onMalformed(status: number): void {
    const { inbound, inboundPassthrough } = this.#options.current();
    (inbound.get(this.#destination.port)?.plainEdge ?? inboundPassthrough).record(status, "DPE", 0);
  }

  #begin(snapshot: CompiledSnapshot, stream: ServerStream, head: RequestHead, ended: boolean) {
    const inbound = snapshot.inbound.get(this.#destination.port);
    return {
      exchange: new InboundExchange(this.#options, snapshot.settings.workload.key, stream, head, ended),
      edge: inbound?.plainEdge ?? snapshot.inboundPassthrough,
      inbound,
    };
  }

  /** `head` is null for bytes. */
  #receive(
    exchange: InboundExchange,
    edge: Edge,
    snapshot: CompiledSnapshot,
    host: Host,
    head: RequestHead | null,
  ): void {
    if (this.#options.inFlight.refuses()) return exchange.reply(LOCAL_REPLY.tooManyRequests, edge);
    // The connection is older than the rule.
    if (refusesPlainText(snapshot, this.#destination.port)) {
      return exchange.reply(LOCAL_REPLY.plainTextRefused, edge);
    }
    const connectTimeoutMs = snapshot.inbound.get(this.#destination.port)?.connectTimeoutMs ??
      INBOUND_CONNECT_TIMEOUT_MS;
    const target = { host, edge, connectTimeoutMs };
    if (head === null) return this.#admitBytes(exchange, snapshot, target);
    const { tokens } = snapshot;
    if (tokens === null) this.#admit(exchange, snapshot, target, head);
    else authenticate(tokens, exchange, head, edge, () => this.#admit(exchange, snapshot, target, head));
  }

  #admit(exchange: InboundExchange, snapshot: CompiledSnapshot, target: Target, head: RequestHead): void {
    const bound = this.#bind(snapshot.policies, "http");
    const [peer, destination] = [this.#peer, this.#policyDestination];
    const record = (passes: boolean) =>
      this.#calls.recordRequest(head.method, head.authority, head.path, passes);
    const decide = () => {
      const passes = bound === null || (
        exchange.passes(bound, new PolicyCall(peer, destination, head)) &&
        (head.tunnel !== "connect" || this.#passesBytes(exchange, snapshot.policies))
      );
      record(passes);
      if (passes) exchange.send(target);
      else exchange.refuse(target.edge);
    };
    const asks = bound === null ? null : bound.asks(new PolicyCall(peer, destination, head));
    if (asks === null) decide();
    else exchange.ask(asks, snapshot.authorizer, target.edge, decide, () => record(false));
  }

  #admitBytes(exchange: InboundExchange, { policies }: CompiledSnapshot, target: Target): void {
    const passes = this.#passesBytes(exchange, policies);
    this.#calls.recordConnection(passes);
    if (passes) exchange.send(target);
    else exchange.refuse(target.edge);
  }

  /** Of a CONNECT too: what goes through the tunnel that the workload may open is no request to anybody but the workload. */
  #passesBytes(exchange: InboundExchange, policies: PolicyTable | null): boolean {
    const bound = this.#bind(policies, "tcp");
    const call = new PolicyCall(this.#peer, this.#policyDestination, null);
    return bound === null || exchange.passesBytes(bound, call);
  }

  #bind(policies: PolicyTable | null, protocol: "http" | "tcp"): BoundPolicies | null {
    return policies === null ? null : policies.bind(this.#peer, this.#policyDestination, protocol);
  }

  /** A port that no service declares, where it was dialled: what listens on loopback alone is not for others. */
  #beyond(protocol: "http1" | "http2" | "tcp"): Host {
    return this.#options.hosts.passthrough({ ...this.#destination, spiffeId: null, protocol });
  }
}

/** Whether a port of the workload takes calls over the mesh alone. */
export function refusesPlainText({ inbound, isStrict }: CompiledSnapshot, port: number): boolean {
  return inbound.get(port)?.strict ?? isStrict(port);
}
