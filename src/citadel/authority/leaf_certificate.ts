/**
 * The body of a workload's certificate (RFC 5280 §4.1, SPIFFE X.509-SVID §4), written by hand: an X.509 library takes ten
 * times as long, and 2,000 workloads that start at once wait for it.
 */
import { DER_TAG } from "../../identity/der_reader.ts";
import { derElement, derExtension, derTime, derUnsignedInteger } from "../../identity/der_writer.ts";
import { GENERAL_NAME } from "../../identity/certificate_fields.ts";

export interface LeafFields {
  /** DER of the AlgorithmIdentifier of the signature that will be made. */
  readonly algorithm: Uint8Array;
  /** Content of the issuer's Name. */
  readonly issuer: Uint8Array;
  /** Big-endian, positive. */
  readonly serial: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** DER of SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** ASCII. */
  readonly spiffeId: string;
  /** Of the issuer's key. */
  readonly keyIdentifier: Uint8Array;
}

const OID = {
  subjectAltName: Uint8Array.of(0x55, 0x1d, 0x11),
  authorityKeyIdentifier: Uint8Array.of(0x55, 0x1d, 0x23),
} as const;

const VERSION_3 = derElement(0xa0, derUnsignedInteger(Uint8Array.of(2)));
const NO_NAME = derElement(DER_TAG.sequence);

/** CA:FALSE; digitalSignature; serverAuth and clientAuth: the same in every leaf. */
const BASIC_CONSTRAINTS = derExtension(Uint8Array.of(0x55, 0x1d, 0x13), true, derElement(DER_TAG.sequence));
const KEY_USAGE = derExtension(
  Uint8Array.of(0x55, 0x1d, 0x0f),
  true,
  derElement(DER_TAG.bitString, Uint8Array.of(7, 0x80)),
);
const EXTENDED_KEY_USAGE = derExtension(
  Uint8Array.of(0x55, 0x1d, 0x25),
  false,
  derElement(DER_TAG.sequence, purpose(1), purpose(2)),
);

/** DER of the TBSCertificate. */
export function leafBody(fields: LeafFields): Uint8Array<ArrayBuffer> {
  const { algorithm, issuer, serial, notBeforeMs, notAfterMs, publicKey, spiffeId, keyIdentifier } = fields;
  const name = derElement(GENERAL_NAME.uri, new TextEncoder().encode(spiffeId));
  const extensions = derElement(
    DER_TAG.sequence,
    // Critical, because the subject is empty (RFC 5280 §4.2.1.6).
    derExtension(OID.subjectAltName, true, derElement(DER_TAG.sequence, name)),
    BASIC_CONSTRAINTS,
    KEY_USAGE,
    EXTENDED_KEY_USAGE,
    authorityKeyIdentifier(keyIdentifier),
  );
  return derElement(
    DER_TAG.sequence,
    VERSION_3,
    derUnsignedInteger(serial),
    algorithm,
    derElement(DER_TAG.sequence, issuer),
    derElement(DER_TAG.sequence, derTime(notBeforeMs), derTime(notAfterMs)),
    NO_NAME,
    publicKey,
    derElement(0xa3, extensions),
  );
}

/** Which key of the issuer signed (RFC 5280 §4.2.1.1): in certificates and revocation lists. */
export function authorityKeyIdentifier(keyIdentifier: Uint8Array): Uint8Array {
  return derExtension(
    OID.authorityKeyIdentifier,
    false,
    derElement(DER_TAG.sequence, derElement(0x80, keyIdentifier)),
  );
}

/** A purpose of id-kp (RFC 5280 §4.2.1.12), by its number. */
function purpose(number: number): Uint8Array {
  return derElement(
    DER_TAG.objectIdentifier,
    Uint8Array.of(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, number),
  );
}
