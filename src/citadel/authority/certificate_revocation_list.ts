/** The body of a certificate revocation list (CRL, RFC 5280 §5.1), for those outside the mesh who trust its root. */
import { DER_TAG } from "../../identity/der_reader.ts";
import { derElement, derExtension, derTime, derUnsignedInteger } from "../../identity/der_writer.ts";
import { authorityKeyIdentifier } from "./leaf_certificate.ts";

export interface CrlFields {
  /** DER of the AlgorithmIdentifier of the signature that will be made. */
  readonly algorithm: Uint8Array;
  /** Content of the issuer's Name. */
  readonly issuer: Uint8Array;
  readonly keyIdentifier: Uint8Array;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** `serial` in hex. */
  readonly revoked: readonly { readonly serial: string; readonly revokedAtMs: number }[];
}

const VERSION_2 = derUnsignedInteger(Uint8Array.of(1));
const CRL_NUMBER = Uint8Array.of(0x55, 0x1d, 0x14);

/** DER of the TBSCertList. Its number is the time, so that it grows across restarts too. */
export function crlBody(fields: CrlFields): Uint8Array<ArrayBuffer> {
  const { algorithm, issuer, keyIdentifier, thisUpdateMs, nextUpdateMs, revoked } = fields;
  const entries = revoked.map(({ serial, revokedAtMs }) =>
    derElement(DER_TAG.sequence, derUnsignedInteger(Uint8Array.fromHex(serial)), derTime(revokedAtMs))
  );
  const number = Uint8Array.fromHex(thisUpdateMs.toString(16).padStart(16, "0"));
  const extensions = derElement(
    DER_TAG.sequence,
    authorityKeyIdentifier(keyIdentifier),
    derExtension(CRL_NUMBER, false, derUnsignedInteger(number)),
  );
  return derElement(
    DER_TAG.sequence,
    VERSION_2,
    algorithm,
    derElement(DER_TAG.sequence, issuer),
    derTime(thisUpdateMs),
    derTime(nextUpdateMs),
    // An empty list is left out (§5.1.2.6).
    ...(entries.length === 0 ? [] : [derElement(DER_TAG.sequence, ...entries)]),
    derElement(0xa0, extensions),
  );
}
