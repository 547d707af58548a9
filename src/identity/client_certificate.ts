/** The certificate of a client from outside the mesh, whose chain TLS has verified: its names, and what upstreams hear of it. */
import { bytesHash } from "../lib/hash.ts";
import { type CertificateFields, GENERAL_NAME, readCertificate } from "./certificate_fields.ts";
import { DER_TAG } from "./der_reader.ts";
import { derElement } from "./der_writer.ts";
import { IdentityError } from "./identity_error.ts";

/** Undefined for a certificate that cannot be read. Never throws on what the peer sent. */
export function readClientCertificate(der: Uint8Array): CertificateFields | undefined {
  try {
    return readCertificate(der);
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    return undefined;
  }
}

/** Whether a certificate has one of the names; no names ask for none. DNS names regardless of case, others as they are. */
export function hasAlternativeName(
  { alternativeNames }: CertificateFields,
  names: readonly string[],
): boolean {
  if (names.length === 0) return true;
  return alternativeNames.some(({ tag, value }) =>
    tag === GENERAL_NAME.dns
      ? names.some((name) => name.toLowerCase() === value.toLowerCase())
      : tag === GENERAL_NAME.uri && names.includes(value)
  );
}

/** Whether a certificate or its public key is one of those named by their SHA-256, in hex (Envoy's `verify_certificate_*`). */
export function isPinned(
  der: Uint8Array,
  { publicKey }: CertificateFields,
  { certificates, publicKeys }: {
    readonly certificates: readonly string[];
    readonly publicKeys: readonly string[];
  },
): boolean {
  return certificates.includes(bytesHash(der)) ||
    publicKeys.includes(bytesHash(derElement(DER_TAG.sequence, publicKey)));
}

/** Characters that Envoy's field has for itself, or that no header may have. */
const UNFIT = /[^\x21\x23-\x2b\x2d-\x3a\x3c\x3e-\x7e]/;

/**
 * Envoy's `x-forwarded-client-cert` of a gateway that sanitizes and sets it: the hash, and the URI and DNS names. A name
 * that could be taken for another element is left out.
 */
export function forwardedClientCertificate(der: Uint8Array, { alternativeNames }: CertificateFields): string {
  const elements = [`Hash=${bytesHash(der)}`];
  for (const { tag, value } of alternativeNames) {
    if (UNFIT.test(value)) continue;
    if (tag === GENERAL_NAME.uri) elements.push(`URI=${value}`);
    else if (tag === GENERAL_NAME.dns) elements.push(`DNS=${value}`);
  }
  return elements.join(";");
}
