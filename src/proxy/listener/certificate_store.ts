/**
 * The certificates that a gateway or a sidecar shows to who is no mesh, from files that somebody else renews: read again when they change. What cannot
 * serve is told and not used, so that a broken renewal leaves the pair that works.
 */
import { textHash } from "../../lib/hash.ts";
import type { CertificateSource } from "../../model/gateway_listener.ts";
import { credentialPaths } from "../../runtime/credentials.ts";
import { FileError } from "../../runtime/files.ts";
import type { KeyPairFault } from "../../runtime/key_pair_check.ts";
import { revocationLists } from "../../runtime/revocation_lists.ts";
import type { ServerMaterial, TlsMaterial } from "../../runtime/tls_options.ts";
import type { ReadText } from "../../runtime/watched_files.ts";

export interface CertificateStoreOptions {
  /** Where credentials are, each in a directory of its name; null: nowhere. */
  readonly directory: string | null;
  readonly read: ReadText;
  /** What of a pair cannot serve; null when it can. */
  check(material: TlsMaterial): KeyPairFault | null;
  /** What to warn of a key's file; null: nothing. */
  openKeyWarning(path: string): string | null;
  /** Of a pair that can serve: `rsa`, `ec`, and so on. */
  keyKind(material: TlsMaterial): string;
  /** Asks that `refresh` be called when one of these files may have changed. */
  watch(paths: readonly string[]): void;
  warn(message: string): void;
}

interface Held {
  readonly source: CertificateSource;
  material: TlsMaterial | null;
  /** Of the material's key. */
  kind: string;
  /** The log has said that the server's other certificate is of that kind, too. */
  toldKind: boolean;
  /** The log has said that others can read the key. */
  toldOpen: boolean;
  /** Of what was last seen in the files, or why it could not be read. */
  seen: string;
}

interface Paths {
  readonly chain: string;
  readonly key: string;
  readonly roots: string | null;
  /** Of revocation lists. */
  readonly crl: { readonly path: string; readonly optional: boolean } | null;
}

export class CertificateStore {
  readonly #options: CertificateStoreOptions;
  #held = new Map<string, Held>();

  constructor(options: CertificateStoreOptions) {
    this.#options = options;
  }

  /** Keeps these, and no others any more; new ones are read at once. */
  retain(sources: Iterable<CertificateSource>): void {
    const held = new Map<string, Held>();
    for (const source of sources) {
      const key = keyOf(source);
      if (held.has(key)) continue;
      const known = this.#held.get(key) ??
        { source, material: null, kind: "", toldKind: false, toldOpen: false, seen: "" };
      held.set(key, known);
      if (known.material === null) this.#load(known);
    }
    this.#held = held;
    const paths = [...held.values()].map(({ source }) => this.#pathsOf(source)).filter((paths) =>
      paths !== null
    );
    const files = paths.flatMap(({ chain, key, roots, crl }) => [
      chain,
      key,
      ...roots === null ? [] : [roots],
      ...crl === null ? [] : [crl.path],
    ]);
    this.#options.watch(files);
  }

  /**
   * The pair that serves now, and besides the one of `other`, if that serves and is for another kind of key; null when
   * there was never one.
   */
  get(source: CertificateSource, other?: CertificateSource): ServerMaterial | null {
    const held = this.#held.get(keyOf(source));
    const material = held?.material ?? null;
    const second = other === undefined ? undefined : this.#held.get(keyOf(other));
    if (held === undefined || material === null || second === undefined || second.material === null) {
      return material;
    }
    if (second.kind !== held.kind) return { ...material, other: second.material };
    if (!second.toldKind) {
      this.#options.warn(
        `Of two certificates for one server both are for keys of the kind "${held.kind}", so the second is shown to nobody: ` +
          `${this.#pathsOf(second.source)?.chain}: make it one of the other kind, RSA or ECDSA`,
      );
    }
    second.toldKind = true;
    return material;
  }

  /** Reads all files again. */
  refresh(): void {
    for (const held of this.#held.values()) this.#load(held);
  }

  #load(held: Held): void {
    const { read, check } = this.#options;
    const paths = this.#pathsOf(held.source);
    if (paths === null) {
      const name = held.source.type === "credential" ? held.source.name : "";
      return this.#fault(
        held,
        `the credential "${name}" needs a directory: start the proxy with --credentials`,
      );
    }
    let material: TlsMaterial;
    try {
      const roots = paths.roots === null ? "" : read(paths.roots);
      const crls = this.#revocationLists(paths);
      material = { chain: read(paths.chain), key: read(paths.key), roots, ...crls.length > 0 && { crls } };
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      return this.#fault(held, error.message);
    }
    const seen = textHash(JSON.stringify(material));
    if (seen === held.seen) return;
    const fault = check(material);
    if (fault !== null) return this.#fault(held, `${paths[fault.part]}: ${fault.reason}`);
    held.seen = seen;
    held.material = material;
    held.kind = this.#options.keyKind(material);
    held.toldKind = false;
    this.#warnOfOpenKey(held, paths.key);
  }

  #warnOfOpenKey(held: Held, path: string): void {
    const warning = held.toldOpen ? null : this.#options.openKeyWarning(path);
    if (warning === null) return;
    held.toldOpen = true;
    this.#options.warn(warning);
  }

  #revocationLists({ crl }: Paths): readonly string[] {
    if (crl === null) return [];
    try {
      return revocationLists(crl.path, this.#options.read(crl.path));
    } catch (error) {
      if (crl.optional && error instanceof FileError && error.code === "not-found") return [];
      throw error;
    }
  }

  /** Told once for as long as it stays the same. */
  #fault(held: Held, fault: string): void {
    if (held.seen === fault) return;
    held.seen = fault;
    const rest = held.material === null ? "nobody is served with it" : "the one from before goes on serving";
    this.#options.warn(`Cannot use a certificate, ${rest}: ${fault}`);
  }

  #pathsOf(source: CertificateSource): Paths | null {
    if (source.type === "files") {
      return { ...source, crl: source.crl === undefined ? null : { path: source.crl, optional: false } };
    }
    const { directory } = this.#options;
    if (directory === null) return null;
    const { chain, key, roots, crl } = credentialPaths(directory, source.name);
    if (!source.withRoots) return { chain, key, roots: null, crl: null };
    return { chain, key, roots, crl: { path: crl, optional: true } };
  }
}

function keyOf(source: CertificateSource): string {
  return JSON.stringify(source);
}
