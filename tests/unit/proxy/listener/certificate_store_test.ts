/** Certificates from files that come, change, break and go. */
import { describe, expect, test } from "bun:test";
import type { CertificateSource } from "../../../../src/model/gateway_listener.ts";
import { CertificateStore } from "../../../../src/proxy/listener/certificate_store.ts";
import { FileError } from "../../../../src/runtime/files.ts";

const FILES: CertificateSource = { type: "files", chain: "/c", key: "/k", roots: null };
const SHOP: CertificateSource = { type: "credential", name: "shop", withRoots: true };

/** A store over files of the test's making; a pair of which a part is `broken` cannot serve. */
function stored(directory: string | null = "/credentials") {
  const files = new Map([["/c", "chain"], ["/k", "key"]]);
  const open = new Set<string>();
  const warnings: string[] = [];
  const reads: string[] = [];
  let watched: readonly string[] = [];
  const store = new CertificateStore({
    directory,
    read(path) {
      reads.push(path);
      const text = files.get(path);
      if (text === undefined) throw new FileError("not-found", path, `There is no ${path}`);
      return text;
    },
    check: ({ chain, key }) => {
      if (chain === "broken") return { part: "chain", reason: "it is broken" };
      return key === "broken" ? { part: "key", reason: "so is this" } : null;
    },
    openKeyWarning: (path) => open.has(path) ? `${path} is open` : null,
    keyKind: ({ chain }) => chain === "ec" ? "ec" : "rsa",
    watch: (paths) => void (watched = paths),
    warn: (message) => void warnings.push(message),
  });
  return { files, open, warnings, reads, store, watched: () => watched };
}

describe("CertificateStore", () => {
  test("retain() reads and watches what is new, once for each source", () => {
    const { store, watched, reads } = stored();
    store.retain([FILES, { ...FILES }]);
    expect(store.get(FILES)).toEqual({ chain: "chain", key: "key", roots: "" });
    expect(reads).toEqual(["/c", "/k"]);
    expect(watched()).toEqual(["/c", "/k"]);
    store.retain([FILES]);
    expect(reads).toHaveLength(2);
  });

  test("retain() forgets what is no longer named", () => {
    const { store, watched } = stored();
    store.retain([FILES]);
    store.retain([]);
    expect(store.get(FILES)).toBeNull();
    expect(watched()).toEqual([]);
  });

  test("a credential is a directory below that of the credentials, with roots where clients are asked", () => {
    const { store, files, watched } = stored();
    for (const name of ["tls.crt", "tls.key", "ca.crt"]) files.set(`/credentials/shop/${name}`, name);
    store.retain([SHOP, { ...SHOP, withRoots: false }]);
    expect(store.get(SHOP)).toEqual({ chain: "tls.crt", key: "tls.key", roots: "ca.crt" });
    expect(store.get({ ...SHOP, withRoots: false })?.roots).toBe("");
    expect(watched()).toContain("/credentials/shop/ca.crt");
  });

  test("revocation lists are read with the roots: those of a path, and of a credential that has some", () => {
    const { store, files, watched, warnings } = stored();
    const list = (n: number) => `-----BEGIN X509 CRL-----\n${"A".repeat(n)}\n-----END X509 CRL-----`;
    for (const name of ["tls.crt", "tls.key", "ca.crt"]) files.set(`/credentials/shop/${name}`, name);
    const byPath: CertificateSource = { ...FILES, crl: "/crl" };
    store.retain([SHOP, byPath]);
    expect(watched()).toContain("/crl");
    expect(watched()).toContain("/credentials/shop/ca.crl");
    expect(store.get(SHOP)).not.toHaveProperty("crls");
    expect([store.get(byPath), warnings]).toEqual([null, [expect.stringContaining("There is no /crl")]]);
    files.set("/credentials/shop/ca.crl", `${list(4)}\n${list(8)}`);
    files.set("/crl", list(4));
    store.refresh();
    expect(store.get(SHOP)?.crls).toEqual([list(4), list(8)]);
    expect(store.get(byPath)?.crls).toEqual([list(4)]);
    files.set("/crl", "nonsense");
    store.refresh();
    expect(store.get(byPath)?.crls).toEqual([list(4)]);
  });

  test("a credential without a directory is told, and serves nobody", () => {
    const { store, warnings, reads } = stored(null);
    store.retain([SHOP]);
    expect(store.get(SHOP)).toBeNull();
    expect(reads).toEqual([]);
    expect(warnings).toEqual([
      'Cannot use a certificate, nobody is served with it: the credential "shop" needs a directory: start the ' +
      "proxy with --credentials",
    ]);
  });

  test("refresh() takes a renewed pair", () => {
    const { store, files, warnings } = stored();
    store.retain([FILES]);
    files.set("/c", "renewed");
    expect(store.get(FILES)?.chain).toBe("chain");
    store.refresh();
    expect(store.get(FILES)?.chain).toBe("renewed");
    expect(warnings).toEqual([]);
  });

  test("refresh() leaves the pair that works when the new one is broken or gone, and tells each fault once", () => {
    const { store, files, warnings } = stored();
    store.retain([FILES]);
    files.set("/c", "broken");
    for (let i = 0; i < 3; i++) store.refresh();
    files.delete("/c");
    for (let i = 0; i < 3; i++) store.refresh();
    expect(store.get(FILES)?.chain).toBe("chain");
    const rest = "Cannot use a certificate, the one from before goes on serving";
    expect(warnings).toEqual([`${rest}: /c: it is broken`, `${rest}: There is no /c`]);
    files.set("/c", "chain");
    store.refresh();
    files.delete("/c");
    store.refresh();
    expect(warnings).toHaveLength(3);
  });

  test("refresh() tells which of the files is broken", () => {
    const { store, files, warnings } = stored();
    files.set("/k", "broken");
    store.retain([FILES]);
    expect(warnings).toEqual(["Cannot use a certificate, nobody is served with it: /k: so is this"]);
  });

  test("retain() warns once of a key that every user of the machine can read", () => {
    const { store, files, open, warnings } = stored();
    open.add("/c").add("/k");
    store.retain([FILES]);
    files.set("/c", "renewed");
    store.refresh();
    expect(store.get(FILES)?.chain).toBe("renewed");
    expect(warnings).toEqual(["/k is open"]);
  });

  test("get() gives two pairs for two kinds of keys, and says once that they are of one kind", () => {
    const { store, files, warnings } = stored();
    const other: CertificateSource = { type: "files", chain: "/o", key: "/k", roots: null };
    store.retain([FILES, other]);
    expect(store.get(FILES, other)).toEqual({ chain: "chain", key: "key", roots: "" });
    expect(warnings.splice(0)).toEqual([expect.stringContaining("There is no /o")]);
    files.set("/o", "ec");
    store.refresh();
    expect(store.get(FILES, other)?.other).toMatchObject({ chain: "ec", key: "key" });
    expect(warnings).toEqual([]);
    files.set("/o", "of rsa");
    store.refresh();
    for (let i = 0; i < 3; i++) expect(store.get(FILES, other)?.other).toBeUndefined();
    expect(warnings).toEqual([
      'Of two certificates for one server both are for keys of the kind "rsa", so the second is shown to nobody: ' +
      "/o: make it one of the other kind, RSA or ECDSA",
    ]);
  });

  test("a pair that was missing serves as soon as it is there", () => {
    const { store, files } = stored();
    files.delete("/k");
    store.retain([FILES]);
    expect(store.get(FILES)).toBeNull();
    files.set("/k", "key");
    store.refresh();
    expect(store.get(FILES)?.key).toBe("key");
  });
});
