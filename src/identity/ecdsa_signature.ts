/** ECDSA signatures in the form that X.509 has them: a sequence of r and s (RFC 3279 §2.2.3). */
import { DER_TAG } from "./der_reader.ts";
import { derElement, derUnsignedInteger } from "./der_writer.ts";

/** From the form that WebCrypto gives them: r and s side by side, of the same length. */
export function derEcdsaSignature(rAndS: Uint8Array): Uint8Array<ArrayBuffer> {
  const half = rAndS.length / 2;
  return derElement(
    DER_TAG.sequence,
    derUnsignedInteger(rAndS.subarray(0, half)),
    derUnsignedInteger(rAndS.subarray(half)),
  );
}
