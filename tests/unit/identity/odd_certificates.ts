/** Certificates as no citadel would issue them, for the tests of those who must refuse them. */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import {
  ECDSA_P256,
  encodePrivateKey,
  generateKeyPair,
  type KeyPair,
} from "../../../src/identity/key_pair.ts";
import { encodePem } from "../../../src/identity/pem.ts";

export { x509 };

const HOUR_MS = 3_600_000;

const SERVER_AND_CLIENT: string[] = [
  x509.ExtendedKeyUsage.serverAuth,
  x509.ExtendedKeyUsage.clientAuth,
];
export const SERVER_ONLY: string[] = [x509.ExtendedKeyUsage.serverAuth];
export const CLIENT_ONLY: string[] = [x509.ExtendedKeyUsage.clientAuth];

export interface OddLeaf {
  readonly names?: x509.JsonGeneralNames;
  readonly purposes?: string[];
  readonly isCa?: boolean;
  /** Null leaves the extension out. */
  readonly usage?: x509.KeyUsageFlags | null;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  readonly more?: x509.Extension[];
}

export interface TlsLeaf {
  readonly key: string;
  readonly chain: string;
  readonly der: Uint8Array;
}

export class TestAuthority {
  private constructor(readonly keys: KeyPair, readonly certificate: x509.X509Certificate) {}

  static async make(name = "CN=test"): Promise<TestAuthority> {
    const keys = await generateKeyPair();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name,
      keys: keys as CryptoKeyPair,
      notBefore: new Date(Date.now() - HOUR_MS),
      notAfter: new Date(Date.now() + HOUR_MS),
      signingAlgorithm: ECDSA_P256,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      ],
    });
    return new TestAuthority(keys, certificate);
  }

  /** One whose key is in other hands too, such as a CA that is plugged in. */
  static of(keys: KeyPair, certificate: x509.X509Certificate): TestAuthority {
    return new TestAuthority(keys, certificate);
  }

  get roots(): string {
    return `${this.certificate.toString("pem")}\n`;
  }

  async issue(leaf: OddLeaf): Promise<TlsLeaf> {
    const keys = await generateKeyPair();
    const { names = [], purposes = SERVER_AND_CLIENT, isCa = false, more = [] } = leaf;
    const { usage = x509.KeyUsageFlags.digitalSignature } = leaf;
    const certificate = await x509.X509CertificateGenerator.create({
      subject: "CN=leaf",
      issuer: this.certificate.subjectName,
      publicKey: keys.publicKey,
      signingKey: this.keys.privateKey,
      signingAlgorithm: ECDSA_P256,
      notBefore: new Date(leaf.notBeforeMs ?? Date.now() - HOUR_MS),
      notAfter: new Date(leaf.notAfterMs ?? Date.now() + HOUR_MS),
      extensions: [
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
        ...(purposes.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(purposes)]),
        new x509.BasicConstraintsExtension(isCa, undefined, true),
        ...(usage === null ? [] : [new x509.KeyUsagesExtension(usage, true)]),
        ...more,
      ],
    });
    return {
      key: await encodePrivateKey(keys.privateKey),
      chain: `${certificate.toString("pem")}\n`,
      der: new Uint8Array(certificate.rawData),
    };
  }

  /** PEM of a revocation list with these certificates, in date unless it says otherwise. */
  async revoke(...revoked: (TlsLeaf | { readonly nextUpdateMs: number })[]): Promise<string> {
    const [nextUpdateMs = Date.now() + HOUR_MS] = revoked.flatMap((one) =>
      "nextUpdateMs" in one ? [one.nextUpdateMs] : []
    );
    const list = await x509.X509CrlGenerator.create({
      issuer: this.certificate.subject,
      thisUpdate: new Date(Date.now() - 2 * HOUR_MS),
      nextUpdate: new Date(nextUpdateMs),
      signingAlgorithm: ECDSA_P256,
      signingKey: this.keys.privateKey,
      // Without a reason the entries would have an empty list of extensions, which is none.
      entries: revoked.filter((one) => "der" in one).map(({ chain }) => ({
        serialNumber: new x509.X509Certificate(chain).serialNumber,
        revocationDate: new Date(),
        reason: x509.X509CrlReason.keyCompromise,
      })),
    });
    // As OpenSSL writes it.
    return encodePem("X509 CRL", new Uint8Array(list.rawData));
  }
}
