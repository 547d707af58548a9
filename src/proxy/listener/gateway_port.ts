/** One port of a gateway: what arrives there goes by plain text or TLS, and by the server name that TLS asks for. */
import { endsOf, type Wire, type WireOwner } from "../../runtime/wire.ts";
import type { CompiledCluster } from "../cluster/cluster.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import { acceptGatewayBytes, GatewayAcceptor, type GatewayContext } from "../filters/gateway.ts";
import { policyPeer } from "../policy/policy_call.ts";
import type { CompiledChain } from "../route/gateway_table.ts";
import { CLOSED, closed, type Reception } from "./reception.ts";
import { ANONYMOUS, type ProvenClient, type TlsTermination } from "./tls_termination.ts";

export interface GatewayPortOptions {
  readonly reception: Reception;
  readonly context: GatewayContext;
  readonly termination: TlsTermination;
  /** The snapshot that serves now; null: there is none yet. */
  current(): CompiledSnapshot | null;
}

type Chain = CompiledChain<CompiledCluster>;

/** What is known of whoever has a connection, but for its ends. */
interface Caller {
  readonly scheme: "http" | "https";
  readonly proven: ProvenClient;
  /** That TLS asks for, lower case; null: none, or no TLS. */
  readonly serverName: string | null;
}

/** One without TLS that ends here. */
const STRANGER: Caller = { scheme: "http", proven: ANONYMOUS, serverName: null };

export class GatewayPort {
  readonly #name: string;
  readonly #options: GatewayPortOptions;

  /** `name` is that of the listener in the snapshot. */
  constructor(name: string, options: GatewayPortOptions) {
    this.#name = name;
    this.#options = options;
  }

  /** The port is a Gateway's no more: connections end with what is in flight, as they do when the process stops. */
  close(): void {
    this.#options.reception.close();
  }

  /** The owner of a connection that was just accepted; null: it is to be closed. */
  readonly accept = (wire: Wire): WireOwner | null => {
    const { reception } = this.#options;
    const table = this.#options.current()?.gateway.get(this.#name);
    const verdict = table === undefined ? "close" : reception.admit(wire);
    if (table === undefined || verdict === "close") return null;
    const { plain } = table;
    const readable = plain !== null && plain.chain.table !== null;
    if (verdict === "refuse") return reception.refuse(wire, readable ? "http" : "tls");
    if (plain === null) {
      return reception.hello(
        wire,
        (wire, serverName) => this.#tls(wire, serverName, table.byServerName(serverName)),
      );
    }
    if (!readable) return this.#bytes(wire, plain, STRANGER);
    return reception.sniff(wire, "http", {
      ...CLOSED,
      http1: (wire) => reception.http1(wire, this.#requests(wire, plain, STRANGER), "http"),
      http2: (wire) => reception.http2(wire, this.#requests(wire, plain, STRANGER)),
    });
  };

  #tls(wire: Wire, serverName: string | null, chain: Chain | undefined): WireOwner {
    if (chain === undefined) return closed(wire);
    const { tls } = chain.chain;
    if (tls === null) return this.#bytes(wire, chain, { ...STRANGER, serverName });
    const { reception } = this.#options;
    const carriesRequests = chain.chain.table !== null;
    return this.#options.termination.begin(wire, {
      ...{ reception, name: this.#name, tls, carriesRequests },
      serve: (wire, proven) => {
        const caller = { scheme: "https", proven, serverName } as const;
        if (!carriesRequests) return this.#bytes(wire, chain, caller);
        const acceptor = this.#requests(wire, chain, caller);
        return wire.alpnProtocol === "h2"
          ? reception.http2(wire, acceptor)
          : reception.http1(wire, acceptor, "https");
      },
    });
  }

  /** Takes the requests of one connection. */
  #requests(wire: Wire, { chain }: Chain, { scheme, proven, serverName }: Caller): GatewayAcceptor {
    const { remote: { hostname: address }, local } = endsOf(wire);
    const client = { address: address || null, scheme, certificate: proven.certificate };
    const peer = policyPeer(proven.spiffeId, address, serverName ?? "");
    return new GatewayAcceptor(this.#options.context, chain.table as string, client, peer, local);
  }

  #bytes(wire: Wire, { routes }: Chain, { proven, serverName }: Caller): WireOwner {
    const { reception, context } = this.#options;
    const { remote, local } = endsOf(wire);
    const peer = policyPeer(proven.spiffeId, remote.hostname, serverName ?? "");
    const connection = { routes, serverName, local, client: remote, peer };
    return reception.tcp(wire, (stream) => acceptGatewayBytes(context, connection, stream));
  }
}
