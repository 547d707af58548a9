/** What a certificate authority signs with, wherever it comes from. */
import { type CertificateFields, readCertificate } from "../../identity/certificate_fields.ts";
import { DER_TAG, DerReader } from "../../identity/der_reader.ts";
import { encodePem } from "../../identity/pem.ts";
import { CERTIFICATE_LABEL } from "../../identity/trust_bundle.ts";
import type { SigningKey } from "./signing_key.ts";

export interface AuthorityMaterial {
  readonly key: SigningKey;
  /** From the certificate that signs up to a root, both included; a root that signs itself stands alone. */
  readonly path: readonly AuthorityCertificate[];
  /** PEM: every root that is trusted, the path's among them. */
  readonly roots: string;
  /** The root that new join tokens pin. */
  readonly pinned: AuthorityCertificate;
  /** PEM: every root that a join token may pin. */
  readonly pinnable: string;
  /**
   * The key that signs, under the signatures of roots that some trust instead of the path's: what the chain of a leaf
   * carries, and what the control plane's own does.
   */
  readonly crosses: {
    readonly leaf: readonly AuthorityCertificate[];
    readonly own: readonly AuthorityCertificate[];
  };
}

export interface AuthorityCertificate {
  readonly der: Uint8Array<ArrayBuffer>;
  readonly fields: CertificateFields;
}

/** Throws IdentityError `certificate_malformed`. */
export function authorityCertificate(der: Uint8Array<ArrayBuffer>): AuthorityCertificate {
  return { der, fields: readCertificate(der) };
}

export function authorityPem({ der }: AuthorityCertificate): string {
  return encodePem(CERTIFICATE_LABEL, der);
}

/** What the certificate calls its own key; without that, what RFC 5280 §4.2.1.2 (1) would call it. */
export async function keyIdentifierOf({ fields }: AuthorityCertificate): Promise<Uint8Array> {
  const { subjectKeyIdentifier, publicKey } = fields;
  if (subjectKeyIdentifier !== undefined) return subjectKeyIdentifier;
  const reader = new DerReader(publicKey);
  reader.read(DER_TAG.sequence);
  const bits = reader.read(DER_TAG.bitString).slice(1);
  return new Uint8Array(await crypto.subtle.digest("SHA-1", bits));
}

/** SPIFFE X.509-SVID §4.1: the name of a signing certificate is its trust domain, without a path. */
export function trustDomainUri(trustDomain: string): string {
  return `spiffe://${trustDomain}`;
}
