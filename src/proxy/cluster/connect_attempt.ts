/** One connection on its way: TCP, then for TLS the handshake and the check of who answered. */
import { formatAuthority } from "../../lib/authority.ts";
import type { Clock } from "../../lib/clock.ts";
import { type PeerIdentity, peerIdentity } from "../../identity/peer_identity.ts";
import { judgeServer, type ServerVerdict } from "../../identity/server_certificate.ts";
import type { ProxyProtocolVersion } from "../../model/cluster.ts";
import type { UpstreamTls } from "../../model/upstream_tls.ts";
import { FileError } from "../../runtime/files.ts";
import type { Connect, ConnectAddress } from "../../runtime/socket.ts";
import type { TlsClient, TlsMaterial } from "../../runtime/tls_options.ts";
import { setOwner, type TlsWire, type TlsWireOwner, type Wire, type WireOwner } from "../../runtime/wire.ts";
import type * as KeyPairCheck from "../../runtime/key_pair_check.ts";
import type { PeerCertificates } from "../peer_certificates.ts";
import type { ResetReason } from "../exchange.ts";
import { type ProxiedEnds, proxyHeader } from "./proxy_protocol.ts";
import type { TlsFiles } from "./tls_files.ts";

/** Where a host is, who must answer there, and what is spoken. */
export interface HostAddress {
  readonly hostname: string;
  readonly port: number;
  /** The SPIFFE ID that must answer, over mTLS; null: plain text, or `tls`. */
  readonly spiffeId: string | null;
  /** The name that is asked for over mTLS (SNI). @default none */
  readonly serverName?: string;
  /** TLS to a server outside the mesh. @default none */
  readonly tls?: UpstreamTls;
  /** `tcp`: one tunnel a connection, whatever is spoken in it. */
  readonly protocol: "http1" | "http2" | "tcp";
  /** Said first; `ends` null: the connection carries requests of many clients. @default nothing */
  readonly proxyProtocol?: { readonly version: ProxyProtocolVersion; readonly ends: ProxiedEnds | null };
  /** Whose connections these are: a cluster with limits shares its own with nobody. @default everybody's */
  readonly pool?: string;
}

export type ConnectWarning = "callee-refused" | "no-tls" | "silence";

export interface ConnectContext {
  readonly clock: Clock;
  readonly connect: Connect;
  readonly trustDomain: string;
  /** The own certificate and the trusted roots, fresh at every connection; null: there is none yet. */
  tlsMaterial(): TlsMaterial | null;
  /** Absent: nobody outside the mesh is called with TLS. */
  readonly tlsFiles?: TlsFiles;
  /** Absent: no certificate was revoked. */
  readonly peers?: PeerCertificates;
  /** One line for the log: a peer that was refused or is silent, or files with which TLS cannot begin, and why. */
  warn(message: string, about: ConnectWarning): void;
}

const ALPN = { http1: ["http/1.1"], http2: ["h2"], tcp: undefined } as const;

export interface ConnectOutcome {
  ready(wire: Wire): WireOwner;
  failed(reason: ResetReason): void;
}

export class ConnectAttempt implements TlsWireOwner {
  readonly #context: ConnectContext;
  readonly #address: HostAddress;
  readonly #outcome: ConnectOutcome;
  #wire: Wire | null = null;
  #over = false;
  #cancelTimer: () => void = () => {};

  constructor(context: ConnectContext, address: HostAddress, outcome: ConnectOutcome) {
    this.#context = context;
    this.#address = address;
    this.#outcome = outcome;
  }

  start(timeoutMs: number): void {
    const plain = this.#address.spiffeId === null && this.#address.tls === undefined;
    const tls = plain ? null : this.#tlsClient();
    if (!plain && tls === null) return this.#fail("connect-failure");
    this.#cancelTimer = this.#context.clock.after(timeoutMs, () => this.#fail("connect-timeout"));
    this.#context.connect(this.#destination, tls, {
      opened: (wire) => {
        this.#wire = wire;
        if (this.#over) {
          wire.terminate();
          return this;
        }
        return plain ? this.#succeed(wire) : this;
      },
      failed: (error) => {
        if (tls !== null && isOfCrypto(error)) this.#warnOfMaterial(tls, error);
        this.#fail("connect-failure");
      },
    });
  }

  get #destination(): ConnectAddress {
    const { hostname, port, proxyProtocol } = this.#address;
    if (proxyProtocol === undefined) return this.#address;
    const prelude = ({ localAddress, localPort, remoteAddress, remotePort }: Wire) => {
      const source = { hostname: localAddress, port: localPort };
      const destination = { hostname: remoteAddress, port: remotePort };
      return proxyHeader(proxyProtocol.version, proxyProtocol.ends, { source, destination });
    };
    return { hostname, port, prelude };
  }

  onHandshake(wire: TlsWire, error: Error | null): void {
    if (this.#over) return;
    const verdict = this.#judge(wire, error);
    if (!verdict.ok) {
      const refused = `Refused the peer at ${formatAuthority(this.#address)} (${verdict.code})`;
      this.#context.warn(`${refused}: ${verdict.detail}`, "callee-refused");
      this.#fail("peer-refused");
      return;
    }
    if (this.#address.protocol === "http2" && wire.alpnProtocol !== "h2") return this.#fail("protocol-error");
    if ("serial" in verdict) this.#context.peers?.add(verdict, wire);
    setOwner(wire, this.#succeed(wire));
  }

  /** Null: there is nothing to show, and without it the proxy calls nobody. */
  #tlsClient(): TlsClient | null {
    const { protocol, tls, serverName } = this.#address;
    const alpn = ALPN[protocol];
    if (tls === undefined) {
      const material = this.#context.tlsMaterial();
      const named = serverName === undefined ? {} : { serverName };
      return material && { ...material, ...named, ...(alpn === undefined ? {} : { alpn }) };
    }
    try {
      return this.#context.tlsFiles?.client(tls, alpn) ?? null;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.#context.warn(`No TLS to ${formatAuthority(this.#address)}: ${error.message}`, "no-tls");
      return null;
    }
  }

  /** TLS could not even begin with what the proxy was to show or to trust. */
  #warnOfMaterial(tls: TlsClient, { message }: Error): void {
    // Here, since it needs what costs a megabyte.
    const { keyPairFault } = require("../../runtime/key_pair_check.ts") as typeof KeyPairCheck;
    const { tls: settings } = this.#address;
    const fault = tls.chain === "" ? null : keyPairFault(tls);
    const part = fault?.part ?? (tls.chain === "" ? "roots" : "chain");
    const path = settings && this.#context.tlsFiles?.pathOf(settings, part);
    const where = path == null ? "" : `${path}: `;
    const to = formatAuthority(this.#address);
    this.#context.warn(`No TLS to ${to}: ${where}${fault?.reason ?? message}`, "no-tls");
  }

  #judge(wire: TlsWire, error: Error | null): PeerIdentity | ServerVerdict {
    const handshake = { error, certificate: wire.getPeerCertificate() };
    const { spiffeId, tls } = this.#address;
    if (tls !== undefined) return tls.insecure ? { ok: true } : judgeServer(handshake, tls.names);
    const { trustDomain, clock, peers } = this.#context;
    const isRevoked = (serial: string, signer: string | undefined) =>
      peers?.isRevoked(serial, signer) ?? false;
    return peerIdentity(handshake, {
      ...{ peer: "server", trustDomain, spiffeId, nowMs: clock.now(), isRevoked },
      trustDomainAliases: peers?.trustDomainAliases ?? [],
    });
  }

  /** Bytes before the handshake is judged are nobody's. */
  onData(): void {
    this.#fail("protocol-error");
  }

  onDrain(): void {}

  onEnd(): void {
    this.#fail("connect-failure");
  }

  onClose(): void {
    this.#fail("connect-failure");
  }

  #succeed(wire: Wire): WireOwner {
    this.#over = true;
    this.#cancelTimer();
    return this.#outcome.ready(wire);
  }

  #fail(reason: ResetReason): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimer();
    this.#wire?.terminate();
    this.#outcome.failed(reason);
  }
}

/** Whether OpenSSL failed, and not the network. */
function isOfCrypto({ code }: Error & { readonly code?: unknown }): boolean {
  return typeof code === "string" && code.startsWith("ERR_OSSL");
}
