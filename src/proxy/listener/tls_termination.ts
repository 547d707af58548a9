/** Ends the TLS of those who call with a certificate from outside the mesh, or of it, and says who they are. */
import {
  forwardedClientCertificate,
  hasAlternativeName,
  isPinned,
  readClientCertificate,
} from "../../identity/client_certificate.ts";
import { peerIdentity } from "../../identity/peer_identity.ts";
import type { Clock } from "../../lib/clock.ts";
import { bytesHash } from "../../lib/hash.ts";
import type { CertificateSource, GatewayTls } from "../../model/gateway_listener.ts";
import { upgradeTls } from "../../runtime/socket.ts";
import type { ServerMaterial, TlsMaterial, TlsServer } from "../../runtime/tls_options.ts";
import { NOBODY, setOwner, type TlsWire, type Wire, type WireOwner } from "../../runtime/wire.ts";
import type { LimitedWarnings } from "../../telemetry/limited_warnings.ts";
import type { CompiledSnapshot } from "../compiled_snapshot.ts";
import { clientCertificateValue } from "../mesh_headers.ts";
import type { PeerCertificates } from "../peer_certificates.ts";
import type { Reception } from "./reception.ts";
import { TlsHello } from "./tls_hello.ts";

const NOT_NAMED = "its certificate has none of the names in subjectAltNames";

/** What is warned of, each at most once in a while. */
export type TlsWarning = "no-certificate" | "bad-certificate" | "client-refused";

export interface TlsTerminationOptions {
  readonly clock: Pick<Clock, "now">;
  readonly trustDomain: string;
  readonly peers: PeerCertificates;
  readonly warnings: LimitedWarnings<TlsWarning>;
  /** The snapshot that serves now; null: there is none yet. */
  current(): CompiledSnapshot | null;
  /** The proxy's own certificate; null before it has joined. */
  meshMaterial(): TlsMaterial | null;
  /** As in CertificateStore. */
  certificate(source: CertificateSource, other?: CertificateSource): ServerMaterial | null;
}

/** What a client showed. */
export interface ProvenClient {
  /** For `x-forwarded-client-cert`; null without a certificate. */
  readonly certificate: string | null;
  /** Of the mesh; null: it showed none of its certificates. */
  readonly spiffeId: string | null;
}

export const ANONYMOUS: ProvenClient = { certificate: null, spiffeId: null };

/** A connection that is about to begin TLS. */
export interface TlsBeginning {
  readonly reception: Reception;
  /** Of the port, for the log. */
  readonly name: string;
  readonly tls: GatewayTls;
  /** Whether HTTP is offered. */
  readonly carriesRequests: boolean;
  /** Who has the connection once the client has shown what it is asked for. */
  serve(wire: TlsWire, client: ProvenClient): WireOwner;
}

export class TlsTermination {
  readonly #options: TlsTerminationOptions;

  constructor(options: TlsTerminationOptions) {
    this.#options = options;
  }

  /** The owner of a connection whose ClientHello is the next to come, and in one piece. */
  begin(wire: Wire, beginning: TlsBeginning): WireOwner {
    const { reception, name, tls, carriesRequests } = beginning;
    const server = this.#server(name, tls, carriesRequests);
    if (server === null) {
      wire.terminate();
      return NOBODY;
    }
    return new TlsHello(wire, (hello) => {
      const judge = (tlsWire: TlsWire, error: Error | null) => this.#judge(tlsWire, error, beginning);
      try {
        upgradeTls(wire, hello, server, (tlsWire) => reception.shakeHands(tlsWire, judge));
      } catch (error) {
        const message = `TLS does not take the certificate for ${name}: ${error}`;
        this.#options.warnings.say("bad-certificate", message);
        wire.terminate();
      }
    });
  }

  #server(name: string, tls: GatewayTls, carriesRequests: boolean): TlsServer | null {
    const { clients, certificate, otherCertificate, minVersion, maxVersion, ciphers } = tls;
    const { warnings, meshMaterial } = this.#options;
    const material = certificate === null
      ? meshMaterial()
      : this.#options.certificate(certificate, otherCertificate);
    if (material === null) {
      warnings.say("no-certificate", `Closed a connection to ${name}: there is no certificate for it`);
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
  #judge(wire: TlsWire, error: Error | null, { name, tls, serve }: TlsBeginning): void {
    const verdict = this.#clientOf(wire, error, tls);
    if ("refused" in verdict) {
      const from = `Refused a client of ${name} from ${wire.remoteAddress}`;
      this.#options.warnings.say("client-refused", `${from}: ${verdict.refused}`);
      return wire.terminate();
    }
    setOwner(wire, serve(wire, verdict));
  }

  #clientOf(wire: TlsWire, error: Error | null, tls: GatewayTls): Verdict {
    switch (tls.clients) {
      case "anonymous":
        return ANONYMOUS;
      case "mesh":
        return this.#peerOf(wire, error, tls);
      default:
        return outsiderOf(wire, error, tls);
    }
  }

  /** One of the mesh, by a certificate that the citadel issued. */
  #peerOf(wire: TlsWire, error: Error | null, { subjectAltNames }: GatewayTls): Verdict {
    const { clock, trustDomain, peers, current } = this.#options;
    const certificate = wire.getPeerCertificate();
    const verdict = peerIdentity({ error, certificate }, {
      ...{ peer: "client", trustDomain, spiffeId: null, nowMs: clock.now() },
      trustDomainAliases: peers.trustDomainAliases,
      isRevoked: (serial, signer) => peers.isRevoked(serial, signer),
    });
    if (!verdict.ok) return { refused: verdict.detail };
    const { spiffeId } = verdict;
    if (subjectAltNames.length > 0 && !subjectAltNames.includes(spiffeId)) return { refused: NOT_NAMED };
    peers.add(verdict, wire);
    const own = current()?.settings.workload.principal ?? "";
    const hash = bytesHash(certificate?.raw ?? new Uint8Array(0));
    return { certificate: clientCertificateValue(own, spiffeId, hash), spiffeId };
  }
}

type Verdict = ProvenClient | { readonly refused: string };

/** One from outside the mesh, by a certificate that leads to the roots that the port's own files have. */
function outsiderOf(
  wire: TlsWire,
  error: Error | null,
  { clients, subjectAltNames, pins }: GatewayTls,
): Verdict {
  const raw = wire.getPeerCertificate()?.raw;
  if (raw === undefined) {
    return clients === "optional" ? ANONYMOUS : { refused: "it showed no certificate" };
  }
  if (error !== null) return { refused: `its certificate is not trusted: ${error.message}` };
  const fields = readClientCertificate(raw);
  if (fields === undefined) return { refused: "its certificate cannot be read" };
  if (!hasAlternativeName(fields, subjectAltNames)) return { refused: NOT_NAMED };
  if (pins !== undefined && !isPinned(raw, fields, pins)) {
    return { refused: "neither verifyCertificateHash nor verifyCertificateSpki has its certificate" };
  }
  return { certificate: forwardedClientCertificate(raw, fields), spiffeId: null };
}
