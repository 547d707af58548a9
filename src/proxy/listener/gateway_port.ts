/** One port of a gateway: what arrives there goes by plain text or TLS, and by the server name that TLS asks for. */
import { clientCertificateValue } from "../mesh_headers.ts";
import {
  forwardedClientCertificate,
  hasAlternativeName,
  isPinned,
  readClientCertificate,
} from "../../identity/client_certificate.ts";
import { peerIdentity } from "../../identity/peer_identity.ts";
import { bytesHash } from "../../lib/hash.ts";
import type { CertificateSource, GatewayTls } from "../../model/gateway_listener.ts";
import {
  type Address,
  NOBODY,
  setOwner,
  type TlsMaterial,
  type TlsServer,
  type TlsWire,
  upgradeTls,
  type Wire,
  type WireOwner,
} from "../../runtime/socket.ts";
import type { LimitedWarnings } from "../../telemetry/limited_warnings.ts";
import type { CompiledCluster } from "../cluster/cluster.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import { acceptGatewayBytes, GatewayAcceptor, type GatewayContext } from "../filters/gateway.ts";
import { policyPeer } from "../policy/policy_call.ts";
import type { CompiledChain } from "../route/gateway_table.ts";
import type { PeerCertificates } from "../peer_certificates.ts";
import type { Reception } from "./reception.ts";
import { TlsHello } from "./tls_hello.ts";

/** What the ports of a gateway warn of, each at most once in a while. */
export type GatewayWarning = "no-certificate" | "bad-certificate" | "client-refused";

export interface GatewayPortOptions {
  readonly reception: Reception;
  readonly context: GatewayContext;
  readonly trustDomain: string;
  readonly peers: PeerCertificates;
  readonly warnings: LimitedWarnings<GatewayWarning>;
  /** The snapshot that serves now; null: there is none yet. */
  current(): CompiledSnapshot | null;
  /** The gateway's own certificate; null before it has joined. */
  meshMaterial(): TlsMaterial | null;
  certificate(source: CertificateSource): TlsMaterial | null;
}

type Chain = CompiledChain<CompiledCluster>;

/** What a client showed. */
interface ProvenClient {
  /** For `x-forwarded-client-cert`; null without a certificate. */
  readonly certificate: string | null;
  /** Of the mesh; null: it showed none of its certificates. */
  readonly spiffeId: string | null;
}

const ANONYMOUS: ProvenClient = { certificate: null, spiffeId: null };

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
      return reception.sniff(wire, "tls", {
        ...CLOSED,
        tls: (wire, serverName) => this.#tls(wire, serverName, table.byServerName(serverName)),
      });
    }
    if (!readable) return this.#bytes(wire, plain, null, null);
    return reception.sniff(wire, "http", {
      ...CLOSED,
      http1: (wire) => this.#requests(wire, plain, "http", ANONYMOUS, null, false),
      http2: (wire) => this.#requests(wire, plain, "http", ANONYMOUS, null, true),
    });
  };

  #tls(wire: Wire, serverName: string | null, chain: Chain | undefined): WireOwner {
    if (chain === undefined) return closed(wire);
    const { tls } = chain.chain;
    if (tls === null) return this.#bytes(wire, chain, null, serverName);
    const server = this.#server(tls, chain.chain.table !== null);
    return server === null ? closed(wire) : new TlsHello(wire, (hello) => {
      const { reception, warnings } = this.#options;
      const judge = (tlsWire: TlsWire, error: Error | null) =>
        this.#judge(tlsWire, error, chain, tls, serverName);
      try {
        upgradeTls(wire, hello, server, (tlsWire) => reception.shakeHands(tlsWire, judge));
      } catch (error) {
        warnings.say("bad-certificate", `TLS does not take the certificate for ${this.#name}: ${error}`);
        wire.terminate();
      }
    });
  }

  #server(tls: GatewayTls, carriesRequests: boolean): TlsServer | null {
    const { clients, certificate, minVersion, maxVersion, ciphers } = tls;
    const { warnings, meshMaterial } = this.#options;
    const material = certificate === null ? meshMaterial() : this.#options.certificate(certificate);
    if (material === null) {
      warnings.say("no-certificate", `Closed a connection to ${this.#name}: there is no certificate for it`);
      return null;
    }
    return {
      ...material,
      clients: clients === "mesh" ? "required" : clients,
      minVersion,
      maxVersion,
      ...(ciphers === undefined ? {} : { ciphers }),
      alpn: carriesRequests ? ["h2", "http/1.1"] : [],
    };
  }

  /** Lets in who showed what the server asks for. */
  #judge(wire: TlsWire, error: Error | null, chain: Chain, tls: GatewayTls, serverName: string | null): void {
    const verdict = this.#clientOf(wire, error, tls);
    if ("refused" in verdict) {
      const from = `Refused a client of ${this.#name} from ${wire.remoteAddress}`;
      this.#options.warnings.say("client-refused", `${from}: ${verdict.refused}`);
      return wire.terminate();
    }
    if (chain.chain.table === null) {
      return setOwner(wire, this.#bytes(wire, chain, verdict.spiffeId, serverName));
    }
    const http2 = wire.alpnProtocol === "h2";
    setOwner(wire, this.#requests(wire, chain, "https", verdict, serverName, http2));
  }

  #clientOf(
    wire: TlsWire,
    error: Error | null,
    { clients, subjectAltNames, pins }: GatewayTls,
  ): ProvenClient | { readonly refused: string } {
    if (clients === "anonymous") return ANONYMOUS;
    const certificate = wire.getPeerCertificate();
    const raw = certificate?.raw;
    if (clients === "mesh") {
      const { trustDomain, peers, context, current } = this.#options;
      const verdict = peerIdentity({ error, certificate }, {
        ...{ peer: "client", trustDomain, spiffeId: null, nowMs: context.clock.now() },
        trustDomainAliases: peers.trustDomainAliases,
        isRevoked: (serial) => peers.isRevoked(serial),
      });
      if (!verdict.ok) return { refused: verdict.detail };
      peers.add(verdict.serial, wire);
      const own = current()?.settings.workload.principal ?? "";
      const { spiffeId } = verdict;
      return {
        certificate: clientCertificateValue(own, spiffeId, bytesHash(raw ?? new Uint8Array(0))),
        spiffeId,
      };
    }
    if (raw === undefined) {
      return clients === "optional" ? ANONYMOUS : { refused: "it showed no certificate" };
    }
    if (error !== null) return { refused: `its certificate is not trusted: ${error.message}` };
    const fields = readClientCertificate(raw);
    if (fields === undefined) return { refused: "its certificate cannot be read" };
    if (!hasAlternativeName(fields, subjectAltNames)) {
      return { refused: "its certificate has none of the names in subjectAltNames" };
    }
    if (pins !== undefined && !isPinned(raw, fields, pins)) {
      return { refused: "neither verifyCertificateHash nor verifyCertificateSpki has its certificate" };
    }
    return { certificate: forwardedClientCertificate(raw, fields), spiffeId: null };
  }

  #requests(
    wire: Wire,
    { chain }: Chain,
    scheme: "http" | "https",
    { certificate, spiffeId }: ProvenClient,
    serverName: string | null,
    http2: boolean,
  ): WireOwner {
    const { reception, context } = this.#options;
    const client = { address: wire.remoteAddress, scheme, certificate };
    const peer = policyPeer(spiffeId, wire.remoteAddress, serverName ?? "");
    const acceptor = new GatewayAcceptor(context, chain.table as string, client, peer, localOf(wire));
    return http2 ? reception.http2(wire, acceptor) : reception.http1(wire, acceptor, scheme);
  }

  #bytes(wire: Wire, { routes }: Chain, spiffeId: string | null, serverName: string | null): WireOwner {
    const { reception, context } = this.#options;
    const peer = policyPeer(spiffeId, wire.remoteAddress, serverName ?? "");
    const client = { hostname: wire.remoteAddress, port: wire.remotePort };
    const connection = { routes, serverName, local: localOf(wire), client, peer };
    return reception.tcp(wire, (stream) => acceptGatewayBytes(context, connection, stream));
  }
}

function localOf({ localAddress, localPort }: Wire): Address {
  return { hostname: localAddress, port: localPort };
}

function closed(wire: Wire): WireOwner {
  wire.terminate();
  return NOBODY;
}

/** Whoever speaks something else. */
const CLOSED = { http1: closed, http2: closed, tls: closed, tcp: closed };
