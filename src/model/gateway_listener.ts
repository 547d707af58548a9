/** The ports of a gateway, as a part of its snapshot. */
import type { Bind } from "./bind.ts";
import type { SkippedRule } from "./route.ts";
import type { TcpRoute } from "./tcp_route.ts";

/** A port of a gateway (Gateway `servers`), or a socket. `name` is `BIND:PORT`, where BIND may be empty, or the socket. */
export interface GatewayListener {
  readonly kind: "gatewayListener";
  readonly name: string;
  readonly bind: Bind;
  readonly port: number;
  /** A port that carries TLS chooses by server name, the most specific first; any other has one alone. */
  readonly chains: readonly GatewayChain[];
}

/** What becomes of some of the connections to a gateway's port. */
export interface GatewayChain {
  /** Names that TLS asks for, lower case, `*.example.com` and `*` too; empty: the port is in plain text. */
  readonly serverNames: readonly string[];
  /** Null: nothing is decrypted. */
  readonly tls: GatewayTls | null;
  /** Virtual hosts of requests, those whose `table` it is; null: the bytes are nobody's business. */
  readonly table: string | null;
  /** For bytes: the first match wins; none that matches closes the connection. */
  readonly routes: readonly TcpRoute[];
  /** Rules for bytes, as in VirtualHost. */
  readonly skipped?: readonly SkippedRule[];
}

/** How a gateway speaks TLS to those who call it. */
export interface GatewayTls {
  /** Which certificate a client shows: none; one that chains to the roots; that, or none; one of the mesh. */
  readonly clients: "anonymous" | "required" | "optional" | "mesh";
  /** Null for `mesh`, where the gateway shows its own. */
  readonly certificate: CertificateSource | null;
  /** For clients that cannot verify the other's kind of key, RSA or ECDSA; without roots. @default there is one alone */
  readonly otherCertificate?: CertificateSource;
  /** Of which a client's certificate must have one; empty: any. */
  readonly subjectAltNames: readonly string[];
  /** SHA-256 in hex of certificates and of public keys, of which a client's must have one. @default any will do */
  readonly pins?: { readonly certificates: readonly string[]; readonly publicKeys: readonly string[] };
  /** Of TLS 1.2, by OpenSSL's names. @default all that have forward secrecy and authenticated encryption */
  readonly ciphers?: readonly string[];
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
}

export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** PEM files on the gateway's machine: a directory below that of its `--credentials`, or paths. */
export type CertificateSource =
  | { readonly type: "credential"; readonly name: string; readonly withRoots: boolean }
  | {
    readonly type: "files";
    readonly chain: string;
    readonly key: string;
    readonly roots: string | null;
    /** Revocation lists for clients. @default none */
    readonly crl?: string;
  };

/** The certificates of a server, the one with the roots first. */
export function certificateSources(tls: GatewayTls | null | undefined): readonly CertificateSource[] {
  return [tls?.certificate ?? [], tls?.otherCertificate ?? []].flat();
}
