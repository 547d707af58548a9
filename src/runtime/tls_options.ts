/** What the two ends of TLS show and take, and how Bun and OpenSSL are told. */

/**
 * TLS 1.3 and nothing older, both ways: SSL_OP_NO_TLSv1_2, _1_1 and _1, by number, since node:crypto would cost every
 * sidecar a megabyte. Bun's own `minVersion` refuses 1.3 too.
 */
const FROM_1_3 = 0x08000000 | 0x10000000 | 0x04000000;

/** TLS 1.2 and 1.3, for servers that are not of the mesh. */
const FROM_1_2 = 0x10000000 | 0x04000000;

/** Versions of TLS as bits of `secureOptions` that forbid them (SSL_OP_NO_TLSv1_2 and the like). */
const FORBIDS = { "TLSv1.2": 0x08000000, "TLSv1.3": 0x20000000 } as const;

/** Of TLS 1.2: with forward secrecy and authenticated encryption only; 1.3 has no others. */
const CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20";

/** PEM of the own certificate chain and key, both empty for a client without one, and of the roots of the peer's chain. */
export interface TlsMaterial {
  readonly chain: string;
  readonly key: string;
  readonly roots: string;
  /** PEM of revocation lists, one each; with any, every CA of the peer's chain must have one that is in date. @default none */
  readonly crls?: readonly string[];
}

/** What a server shows. */
export interface ServerMaterial extends TlsMaterial {
  /** Shown to clients that can verify a key of its kind alone, and by TLS's preference to others. @default none */
  readonly other?: Pick<TlsMaterial, "chain" | "key">;
}

/** Protocols to offer by ALPN (RFC 7301), the preferred first. */
export type Alpn = readonly ("h2" | "http/1.1")[];

/** What a client of TLS shows and offers. */
export interface TlsClient extends TlsMaterial {
  readonly alpn?: Alpn;
  /** The name to ask for (SNI). @default none */
  readonly serverName?: string;
  /** @default "1.3" */
  readonly oldest?: "1.2";
}

/** How an accepted connection becomes one of TLS. */
export interface TlsServer extends ServerMaterial {
  /** Whether a client shows a certificate that chains to `roots`: it must; it may, and the owner judges; it is not asked. */
  readonly clients: "required" | "optional" | "anonymous";
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly maxVersion: "TLSv1.2" | "TLSv1.3";
  /** Empty: none is agreed on. */
  readonly alpn: Alpn;
  /** Of TLS 1.2, by OpenSSL's names. @default all that have forward secrecy and authenticated encryption */
  readonly ciphers?: readonly string[];
}

/**
 * A root whose key was never kept, for connections that believe nobody. Where there is none, Bun reads its own 140: 1.3 MB
 * for as long as the process lives.
 */
const NOBODYS_ROOT = `-----BEGIN CERTIFICATE-----
MIIBlDCCATqgAwIBAgIUJ87r/RYJEDI+cFbb1d05PZfuOdcwCgYIKoZIzj0EAwIw
HTEbMBkGA1UEAwwSdm91Y2hlcyBmb3Igbm9ib2R5MCAXDTI2MTEyOTE3MDEzN1oY
DzIxMjYxMTA1MTcwMTM3WjAdMRswGQYDVQQDDBJ2b3VjaGVzIGZvciBub2JvZHkw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARLADImWEJn4u4+HP6yxsc5S73tAucu
19KzP3xikQ6yQvBDfqAcWFbbGkSbhSY37B4liQdwJ+xZtWIxgQGEWxHIo1YwVDAd
BgNVHQ4EFgQUCr2cS06vibbpjGyZM79NaxXWPicwHwYDVR0jBBgwFoAUCr2cS06v
ibbpjGyZM79NaxXWPicwEgYDVR0TAQH/BAgwBgEB/wIBADAKBggqhkjOPQQDAgNI
ADBFAiAQ5AUgA+9fDVCXnjkdZ0M/0X1BGzvfawYAH1C0Zzg41AIhAKTl0K8bSYnc
LnQpkTHcwJwiNjYBvnJ4LTKBFwPd1Q9h
-----END CERTIFICATE-----
`;

/** For a server of the mesh. */
export function mutualTlsOptions(
  { chain, key, roots }: TlsMaterial,
  { requireClientCertificate, alpn }: { readonly requireClientCertificate: boolean; readonly alpn: Alpn },
): object {
  return {
    cert: chain,
    key,
    ca: roots,
    requestCert: true,
    rejectUnauthorized: requireClientCertificate,
    secureOptions: FROM_1_3,
    ALPNProtocols: alpnList(alpn),
  };
}

/** For a server whose clients may be of any kind, as a Gateway or a Sidecar says. */
export function serverOptions(server: TlsServer): object {
  const { clients, minVersion, maxVersion, alpn, roots, ciphers } = server;
  const forbidden = (minVersion === "TLSv1.3" ? FORBIDS["TLSv1.2"] : 0) |
    (maxVersion === "TLSv1.2" ? FORBIDS["TLSv1.3"] : 0);
  return {
    ...(server.other === undefined ? ownCertificate(server) : bothCertificates(server, server.other)),
    ...(clients === "anonymous" ? {} : { ca: roots, ...revocation(server) }),
    requestCert: clients !== "anonymous",
    rejectUnauthorized: clients === "required",
    secureOptions: FROM_1_2 | forbidden,
    ciphers: ciphers?.join(":") ?? CIPHERS,
    ...(alpn.length === 0 ? {} : { ALPNProtocols: alpnList(alpn) }),
  };
}

/** Bun would also check the host's name, which a SPIFFE certificate has not: the owner judges instead. */
export function clientOptions(tls: TlsClient): object {
  const offered = tls.alpn === undefined ? {} : { ALPNProtocols: alpnList(tls.alpn) };
  const ca = tls.roots === "" ? NOBODYS_ROOT : tls.roots;
  const named = tls.serverName === undefined ? {} : { serverName: tls.serverName };
  return {
    ...ownCertificate(tls),
    ...offered,
    ca,
    ...revocation(tls),
    ...named,
    rejectUnauthorized: false,
    secureOptions: tls.oldest === undefined ? FROM_1_3 : FROM_1_2,
  };
}

/** As it travels: each name behind its length. */
function alpnList(protocols: Alpn): string {
  return protocols.map((name) => String.fromCharCode(name.length) + name).join("");
}

/** OpenSSL's check of the whole chain: a CA without a list that is in date vouches for nobody. */
function revocation({ crls = [] }: TlsMaterial): { crl?: readonly string[] } {
  return crls.length === 0 ? {} : { crl: crls };
}

function ownCertificate({ chain, key }: TlsMaterial): { cert?: string; key?: string } {
  return chain === "" ? {} : { cert: chain, key };
}

/** Of two for different kinds of keys TLS chooses by what the client can verify (RFC 8446 §4.2.3). */
function bothCertificates(...pairs: readonly Pick<TlsMaterial, "chain" | "key">[]): object {
  return { cert: pairs.map(({ chain }) => chain), key: pairs.map(({ key }) => key) };
}
