/** Credentials on a proxy's disk: each a directory of its name, with the files of a TLS secret of Kubernetes. */

export interface CredentialPaths {
  readonly chain: string;
  readonly key: string;
  readonly roots: string;
  /** There need not be one. */
  readonly crl: string;
}

export function credentialPaths(directory: string, name: string): CredentialPaths {
  const at = (file: string) => `${directory}/${name}/${file}`;
  return { chain: at("tls.crt"), key: at("tls.key"), roots: at("ca.crt"), crl: at("ca.crl") };
}
