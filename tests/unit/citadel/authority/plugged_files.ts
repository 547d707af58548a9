/** CAs as an operator's own tools make them, good and bad, in a directory to plug in. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateKeyPair } from "../../../../src/identity/key_pair.ts";
import { encodePem } from "../../../../src/identity/pem.ts";
import { x509 } from "../../identity/odd_certificates.ts";
import { freshDirectory, START_MS } from "../test_citadel.ts";

const DAY_MS = 86_400_000;

export interface OddAuthority {
  readonly name?: string;
  readonly issuer?: Authority;
  readonly keys?: CryptoKeyPair;
  readonly isCa?: boolean;
  readonly pathLength?: number;
  readonly usage?: x509.KeyUsageFlags;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  /** URI SAN. */
  readonly uri?: string;
}

export interface Authority {
  readonly keys: CryptoKeyPair;
  readonly certificate: x509.X509Certificate;
  readonly pem: string;
  /** PKCS#8. */
  readonly key: string;
}

export async function makeAuthority(odd: OddAuthority = {}): Promise<Authority> {
  const { issuer, isCa = true, uri, usage = x509.KeyUsageFlags.keyCertSign } = odd;
  const keys = odd.keys ?? await generateKeyPair() as CryptoKeyPair;
  const hash = { hash: "SHA-256" };
  const certificate = await x509.X509CertificateGenerator.create({
    subject: odd.name ?? (issuer === undefined ? "CN=root" : "CN=intermediate"),
    issuer: issuer?.certificate.subjectName ?? odd.name ?? "CN=root",
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: { ...(issuer?.keys ?? keys).privateKey.algorithm, ...hash },
    notBefore: new Date(odd.notBeforeMs ?? START_MS - DAY_MS),
    notAfter: new Date(odd.notAfterMs ?? START_MS + 365 * DAY_MS),
    extensions: [
      new x509.BasicConstraintsExtension(isCa, odd.pathLength, true),
      new x509.KeyUsagesExtension(usage, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...(uri === undefined ? [] : [new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }])]),
    ],
  });
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  return { keys, certificate, pem: `${certificate.toString("pem")}\n`, key: encodePem("PRIVATE KEY", pkcs8) };
}

/** A directory with these files; each of mode 0600 unless it is said otherwise. */
export function writeFiles(files: Readonly<Record<string, string>>, keyMode = 0o600): string {
  const directory = freshDirectory();
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    chmodSync(path, name.includes("key") ? keyMode : 0o644);
  }
  return directory;
}

/** The files under Istio's names. */
export function istioFiles(ca: Authority, chain: string, roots: string): Record<string, string> {
  return { "ca-cert.pem": ca.pem, "ca-key.pem": ca.key, "cert-chain.pem": chain, "root-cert.pem": roots };
}
