/** Certificates, keys and roots on the proxy's disk, for TLS to servers outside the mesh; read anew when they change. */
import type { Credential, UpstreamTls } from "../../model/upstream_tls.ts";
import { ChangingFile } from "../../runtime/changing_file.ts";
import { credentialPaths } from "../../runtime/credentials.ts";
import { FileError } from "../../runtime/files.ts";
import { openKeyWarning } from "../../runtime/open_key.ts";
import { revocationLists } from "../../runtime/revocation_lists.ts";
import type { Alpn, TlsClient, TlsMaterial } from "../../runtime/tls_options.ts";

/** The largest PEM file that is read; a bundle of all public roots has a quarter of that. */
const PEM_FILE_BYTES_MAX = 1024 * 1024;

/** Files that are remembered; when there are more, all are forgotten and read again. */
const TLS_FILES_MAX = 1_024;

/** Where machines keep the public authorities that they trust: Debian, Red Hat, SUSE, Alpine. */
const SYSTEM_ROOTS = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

export interface TlsFilesOptions {
  /** Where credentials are, each in a directory of its name; null: nowhere. @default null */
  readonly credentials?: string | null;
  /** Files, the first of which that can be read counts where no other is named. @default where machines have them */
  readonly systemRoots?: readonly string[];
  warn?(message: string): void;
}

export class TlsFiles {
  readonly #files = new Map<string, ChangingFile>();
  readonly #credentials: string | null;
  readonly #systemRoots: readonly string[];
  readonly #warn: (message: string) => void;

  constructor({ credentials = null, systemRoots = SYSTEM_ROOTS, warn = () => {} }: TlsFilesOptions = {}) {
    this.#credentials = credentials;
    this.#systemRoots = systemRoots;
    this.#warn = warn;
  }

  /** What a connection that begins now shows and trusts. Throws FileError. */
  client(tls: UpstreamTls, alpn: Alpn | undefined): TlsClient {
    const { sni, credential } = tls;
    return {
      ...(credential === undefined ? this.#byPaths(tls) : this.#byCredential(credential)),
      oldest: "1.2",
      ...(sni === null ? {} : { serverName: sni }),
      ...(alpn === undefined ? {} : { alpn }),
    };
  }

  /** Where a part of what client() gives stands; null: nothing was named. */
  pathOf(
    { certificate, rootsFile, credential }: UpstreamTls,
    part: "chain" | "key" | "roots",
  ): string | null {
    if (credential !== undefined) return credentialPaths(this.#credentials ?? "", credential.name)[part];
    if (part === "roots") return rootsFile;
    return certificate?.[part === "chain" ? "chainFile" : "keyFile"] ?? null;
  }

  #byPaths({ certificate, rootsFile, crlFile }: UpstreamTls): TlsMaterial {
    return {
      chain: certificate === null ? "" : this.#read(certificate.chainFile),
      key: certificate === null ? "" : this.#readKey(certificate.keyFile),
      roots: rootsFile === null ? this.#system() : this.#read(rootsFile),
      ...(crlFile === undefined ? {} : { crls: revocationLists(crlFile, this.#read(crlFile)) }),
    };
  }

  #byCredential({ name, withCertificate }: Credential): TlsMaterial {
    if (this.#credentials === null) {
      const message = `the credential "${name}" needs a directory: start with --credentials`;
      throw new FileError("not-found", name, message);
    }
    const { chain, key, roots, crl } = credentialPaths(this.#credentials, name);
    const lists = this.#readIfPresent(crl);
    return {
      chain: withCertificate ? this.#read(chain) : "",
      key: withCertificate ? this.#readKey(key) : "",
      roots: this.#read(roots),
      ...(lists === null ? {} : { crls: revocationLists(crl, lists) }),
    };
  }

  #readKey(path: string): string {
    const warning = this.#files.has(path) ? null : openKeyWarning(path);
    if (warning !== null) this.#warn(warning);
    return this.#read(path);
  }

  #readIfPresent(path: string): string | null {
    try {
      return this.#read(path);
    } catch (error) {
      if (error instanceof FileError && error.code === "not-found") return null;
      throw error;
    }
  }

  /** Empty: a machine without any trusts those that Bun has from Mozilla. */
  #system(): string {
    for (const path of this.#systemRoots) {
      try {
        return this.#read(path);
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
      }
    }
    return "";
  }

  #read(path: string): string {
    let file = this.#files.get(path);
    if (file === undefined) {
      if (this.#files.size >= TLS_FILES_MAX) this.#files.clear();
      file = new ChangingFile(path, PEM_FILE_BYTES_MAX);
      this.#files.set(path, file);
    }
    return file.read();
  }
}
