/** The certificates that the mesh's own CA signs for itself: roots, and a new root's under the name of the one before it. */
import { hex } from "../../identity/der_reader.ts";
import { ECDSA_P256, generateKeyPair, type KeyPair } from "../../identity/key_pair.ts";
import type { Clock } from "../../lib/clock.ts";
import { type AuthorityCertificate, authorityCertificate, trustDomainUri } from "./authority_material.ts";
import { BACK_DATE_MS, randomSerial, wholeSeconds } from "../certificate_times.ts";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "../x509.ts";

/** Life of a root that bowline makes (Istio's CITADEL_SELF_SIGNED_CA_CERT_TTL). */
export const ROOT_LIFE_MS = 3650 * 24 * 60 * 60 * 1000;

export interface Root {
  readonly keys: KeyPair;
  readonly certificate: AuthorityCertificate;
}

export async function makeRoot(trustDomain: string, clock: Clock): Promise<Root> {
  const keys = await generateKeyPair();
  const serial = hex(randomSerial());
  const now = clock.now();
  const made = await X509CertificateGenerator.createSelfSigned({
    // A name of its own: with two roots of one name, as in a rollover, TLS libraries may try the wrong one only.
    name: `CN=bowline root ${serial}`,
    keys: keys as CryptoKeyPair,
    serialNumber: serial,
    notBefore: new Date(wholeSeconds(now - BACK_DATE_MS)),
    notAfter: new Date(wholeSeconds(now + ROOT_LIFE_MS)),
    signingAlgorithm: ECDSA_P256,
    extensions: await extensions(keys, trustDomain),
  });
  return { keys, certificate: authorityCertificate(new Uint8Array(made.rawData)) };
}

/**
 * The key of `root` with the signature of `issuer`: who trusts only the issuer can follow a chain through it, and who
 * trusts the root needs it not. It is good for as long as both are.
 */
export async function crossSign(
  root: Root,
  issuer: Root,
  trustDomain: string,
): Promise<AuthorityCertificate> {
  const [own, above] = [root.certificate.fields, issuer.certificate.fields];
  const made = await X509CertificateGenerator.create({
    subject: new X509Certificate(root.certificate.der).subjectName,
    issuer: new X509Certificate(issuer.certificate.der).subjectName,
    publicKey: root.keys.publicKey,
    signingKey: issuer.keys.privateKey,
    serialNumber: hex(randomSerial()),
    notBefore: new Date(Math.max(own.notBeforeMs, above.notBeforeMs)),
    notAfter: new Date(Math.min(own.notAfterMs, above.notAfterMs)),
    signingAlgorithm: ECDSA_P256,
    extensions: [
      ...await extensions(root.keys, trustDomain),
      await AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
    ],
  });
  return authorityCertificate(new Uint8Array(made.rawData));
}

async function extensions(keys: KeyPair, trustDomain: string): Promise<Extension[]> {
  return [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
    new SubjectAlternativeNameExtension([{ type: "url", value: trustDomainUri(trustDomain) }]),
  ];
}
