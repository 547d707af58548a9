/** Certificates from outside the mesh, as operators get them: a CA, and what it signs. By openssl. */
import { X509Certificate } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Pair {
  /** PEM. */
  readonly chain: string;
  readonly key: string;
}

/** A CA whose files are in a directory, under a name. */
export class OutsideAuthority {
  readonly #directory: string;
  readonly #name: string;
  #serial = 0;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
    openssl([
      ...["req", "-x509", ...NEW_KEY, "-keyout", this.#path("ca.key"), "-out", this.rootFile],
      ...["-days", "2", "-subj", `/CN=${name}`, "-addext", "basicConstraints=critical,CA:TRUE"],
    ]);
  }

  get rootFile(): string {
    return this.#path("ca.crt");
  }

  get root(): string {
    return readFileSync(this.rootFile, "utf8");
  }

  /** A new certificate for these alternative names, such as `DNS:a.test`. */
  issue(...names: readonly string[]): Pair {
    return this.#issue(NEW_KEY, names);
  }

  /** The same for a key of RSA. */
  issueRsa(...names: readonly string[]): Pair {
    return this.#issue(["-newkey", "rsa:2048", "-nodes"], names);
  }

  #issue(newKey: readonly string[], names: readonly string[]): Pair {
    const base = this.#path(String(++this.#serial));
    openssl([
      "req",
      "-new",
      ...newKey,
      "-keyout",
      `${base}.key`,
      "-out",
      `${base}.csr`,
      "-subj",
      "/CN=leaf",
    ]);
    writeFileSync(`${base}.ext`, `subjectAltName=${names.join(",")}\n`);
    openssl([
      ...["x509", "-req", "-in", `${base}.csr`, "-CA", this.rootFile, "-CAkey", this.#path("ca.key")],
      ...["-days", "2", "-extfile", `${base}.ext`, "-out", `${base}.crt`],
    ]);
    return { chain: readFileSync(`${base}.crt`, "utf8"), key: readFileSync(`${base}.key`, "utf8") };
  }

  /** A revocation list, in date, with these. */
  revoke(...revoked: readonly Pair[]): string {
    const serials = revoked.map(({ chain }) =>
      new X509Certificate(chain).serialNumber.padStart(2, "0").toUpperCase()
    );
    writeFileSync(
      this.#path("index.txt"),
      serials.map((serial) => `R\t491231000000Z\t250101000000Z\t${serial}\tunknown\t/CN=leaf\n`).join(""),
    );
    writeFileSync(
      this.#path("ca.cnf"),
      `[ca]\ndefault_ca = own\n[own]\ndatabase = ${
        this.#path("index.txt")
      }\ncertificate = ${this.rootFile}\n` +
        `private_key = ${this.#path("ca.key")}\ndefault_md = sha256\ndefault_crl_days = 1\n`,
    );
    openssl(["ca", "-config", this.#path("ca.cnf"), "-gencrl", "-out", this.#path("ca.crl")]);
    return readFileSync(this.#path("ca.crl"), "utf8");
  }

  #path(file: string): string {
    return join(this.#directory, `${this.#name}-${file}`);
  }
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** Writes a file in one step, as tools that renew certificates do. */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function openssl(args: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")} ended with ${exitCode}: ${stderr}`);
}

/** The certificate that is shown there for a server name, in PEM; `args` are more of openssl's. */
export async function shownCertificate(
  address: string,
  port: number,
  serverName: string,
  ...args: readonly string[]
): Promise<string> {
  const child = Bun.spawn(
    ["openssl", "s_client", "-connect", `${address}:${port}`, "-servername", serverName, ...args],
    { stdin: "ignore", stdout: "pipe", stderr: "ignore" },
  );
  const text = await new Response(child.stdout).text();
  return /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(text)?.[0] ?? "";
}
