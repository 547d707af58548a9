/** Who calls the own workload over mutual TLS, and is let in: at port 15008, or captured on the way to a port of HTTP. */
import { peerIdentity } from "../../identity/peer_identity.ts";
import { bytesHash } from "../../lib/hash.ts";
import { upgradeTls } from "../../runtime/socket.ts";
import type { TlsMaterial, TlsServer } from "../../runtime/tls_options.ts";
import { setOwner, type TlsWire, type Wire, type WireOwner } from "../../runtime/wire.ts";
import type { Acceptor } from "../exchange.ts";
import { InboundAcceptor, type InboundOptions } from "../filters/inbound.ts";
import type { PeerCertificates } from "../peer_certificates.ts";
import { policyPeer } from "../policy/policy_call.ts";
import type { HandshakeJudge } from "./handshaking_connection.ts";
import type { Reception } from "./reception.ts";
import { TlsHello } from "./tls_hello.ts";

export interface MeshPeersOptions {
  readonly trustDomain: string;
  readonly peers: PeerCertificates;
  /** For port 15008, and for what is captured. */
  readonly receptions: { readonly mesh: Reception; readonly inbound: Reception };
  readonly exchanges: Omit<InboundOptions, "admits" | "readRequests">;
  /** Null before the workload has joined. */
  tlsMaterial(): TlsMaterial | null;
  /** Of a peer that is not let in. */
  warn(message: string): void;
}

/** HTTP/2 between proxies; HTTP/1.1 for whoever else holds a certificate of the mesh. */
const ALPN = ["h2", "http/1.1"] as const;

/** Of port 15008. */
export const MESH_TLS = { requireClientCertificate: true, alpn: ALPN } as const;

const CAPTURED_TLS = {
  ...{ clients: "required", minVersion: "TLSv1.3", maxVersion: "TLSv1.3", alpn: ALPN },
} as const satisfies Omit<TlsServer, keyof TlsMaterial>;

export class MeshPeers {
  readonly #options: MeshPeersOptions;

  constructor(options: MeshPeersOptions) {
    this.#options = options;
  }

  /** Lets in whoever proved an identity of the trust domain. Each request says which port it is for. */
  readonly judge: HandshakeJudge = (wire, error) => this.#judge(wire, error, null);

  /** Begins mutual TLS on a connection that was going to a port of the workload. */
  secure(wire: Wire, port: number): WireOwner {
    const { receptions: { inbound }, tlsMaterial } = this.#options;
    return new TlsHello(wire, (hello) => {
      const material = tlsMaterial();
      if (material === null) return wire.terminate();
      const judge: HandshakeJudge = (tlsWire, error) => this.#judge(tlsWire, error, port);
      upgradeTls(
        wire,
        hello,
        { ...material, ...CAPTURED_TLS },
        (tlsWire) => inbound.shakeHands(tlsWire, judge),
      );
    });
  }

  #judge(wire: TlsWire, error: Error | null, port: number | null): void {
    const { trustDomain, peers, receptions, exchanges, warn } = this.#options;
    const certificate = wire.getPeerCertificate();
    const verdict = peerIdentity({ error, certificate }, {
      ...{ peer: "client", trustDomain, spiffeId: null, nowMs: exchanges.clock.now() },
      trustDomainAliases: peers.trustDomainAliases,
      isRevoked: (serial, signer) => peers.isRevoked(serial, signer),
    });
    if (!verdict.ok) {
      warn(`Refused the peer from ${wire.remoteAddress} (${verdict.code}): ${verdict.detail}`);
      return wire.terminate();
    }
    peers.add(verdict, wire);
    const peer = new InboundAcceptor(
      {
        ...exchanges,
        admits: () => receptions.inbound.admitsMore(),
        readRequests: (wire, acceptor, bytes) =>
          receptions.inbound.requests(
            ...[wire, acceptor, bytes, exchanges.current().settings.detectionTimeoutMs] as const,
          ),
      },
      policyPeer(verdict.spiffeId, wire.remoteAddress),
      bytesHash(certificate?.raw ?? new Uint8Array(0)),
    );
    const acceptor: Acceptor = port === null ? peer : peer.requestsTo(String(port), "");
    const reception = port === null ? receptions.mesh : receptions.inbound;
    const http2 = wire.alpnProtocol === "h2";
    setOwner(wire, http2 ? reception.http2(wire, acceptor, port === null) : reception.http1(wire, acceptor));
  }
}
