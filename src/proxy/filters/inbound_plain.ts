/** The calls to the own workload from outside the mesh: captured on their way to one of its ports, in plain text. */
import type { Random } from "../../lib/prng.ts";
import type { Address } from "../../runtime/socket.ts";
import type { Edge } from "../../telemetry/edge_metrics.ts";
import type { Host } from "../cluster/host.ts";
import type { HostTable } from "../cluster/host_table.ts";
import {
  type CompiledSnapshot,
  INBOUND_CONNECT_TIMEOUT_MS,
  type InboundService,
} from "../compiled_snapshot.ts";
import type { Acceptor, RequestHead, ServerHandler, ServerStream } from "../exchange.ts";
import { LOCAL_REPLY } from "../local_reply.ts";
import { takeMeshHeaders } from "../mesh_headers.ts";
import { normalPath } from "../route/normal_path.ts";
import { connectHead, formatAuthority } from "../tcp/server_connection.ts";
import { ensureEntryHeaders } from "./entry_headers.ts";
import type { ExchangeContext } from "./exchange_context.ts";
import { InboundExchange } from "./inbound.ts";

export interface PlainInboundOptions extends ExchangeContext {
  readonly random: Random;
  readonly hosts: HostTable;
  current(): CompiledSnapshot;
}

/** One for each connection: it knows where the connection was going. Nobody says who is at its other end. */
export class PlainInboundAcceptor implements Acceptor {
  readonly #options: PlainInboundOptions;
  readonly #destination: Address;

  constructor(options: PlainInboundOptions, destination: Address) {
    this.#options = options;
    this.#destination = destination;
  }

  accept(stream: ServerStream, head: RequestHead, ended: boolean): ServerHandler {
    const { current, random } = this.#options;
    const snapshot = current();
    const { exchange, edge, inbound } = this.#begin(snapshot, stream, head, ended);
    takeMeshHeaders(head.headers);
    ensureEntryHeaders(head, random);
    const path = normalPath(head.path);
    if (typeof path === "string") {
      head.path = path;
      this.#deliver(exchange, edge, inbound, inbound?.host ?? this.#beyond("http1"));
    } else exchange.reply(path, edge);
    return exchange;
  }

  /** Takes bytes. */
  acceptTcp(stream: ServerStream): ServerHandler {
    const head = connectHead(formatAuthority(this.#destination));
    const { exchange, edge, inbound } = this.#begin(this.#options.current(), stream, head, false);
    this.#deliver(exchange, edge, inbound, inbound?.tunnelHost ?? this.#beyond("tcp"));
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

  #deliver(exchange: InboundExchange, edge: Edge, inbound: InboundService | undefined, host: Host): void {
    if (this.#options.inFlight.refuses()) exchange.reply(LOCAL_REPLY.tooManyRequests, edge);
    // The connection is older than the rule.
    else if (inbound?.strict) exchange.reply(LOCAL_REPLY.plainTextRefused, edge);
    else {
      const connectTimeoutMs = inbound?.connectTimeoutMs ?? INBOUND_CONNECT_TIMEOUT_MS;
      exchange.send({ host, edge, connectTimeoutMs });
    }
  }

  /** A port that no service declares, where it was dialled: what listens on loopback alone is not for others. */
  #beyond(protocol: "http1" | "tcp"): Host {
    return this.#options.hosts.passthrough({ ...this.#destination, spiffeId: null, protocol });
  }
}
