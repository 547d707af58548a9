/** How a proxy speaks TLS to servers that are not of the mesh: a part of what a snapshot says of a cluster. */

/** TLS to servers outside the mesh. Paths are of PEM files on the proxy's own disk. */
export interface UpstreamTls {
  /** The name to ask for (SNI); null: none. */
  readonly sni: string | null;
  /** Shown where the server asks for one; null: none. */
  readonly certificate: { readonly chainFile: string; readonly keyFile: string } | null;
  /** Roots of the server's certificate; null: the public authorities that the machine trusts. */
  readonly rootsFile: string | null;
  /** Revocation lists for the server's chain. @default none */
  readonly crlFile?: string;
  /** Instead of `certificate`, `rootsFile` and `crlFile`. @default none */
  readonly credential?: Credential;
  /** One of them must be in the server's certificate. */
  readonly names: readonly string[];
  /** Neither roots nor names are looked at. */
  readonly insecure: boolean;
}

/** A directory of the proxy's `--credentials`. */
export interface Credential {
  readonly name: string;
  /** The proxy shows its certificate; else only its roots count. */
  readonly withCertificate: boolean;
}
