/** Certificate signing requests (PKCS#10, RFC 2986): they carry a public key and prove that its owner asks, nothing more. */
import { DER_TAG } from "./der_reader.ts";
import { derBitString, derElement, derUnsignedInteger } from "./der_writer.ts";
import { derEcdsaSignature } from "./ecdsa_signature.ts";
import { ECDSA_P256, type KeyPair } from "./key_pair.ts";
import { encodePem } from "./pem.ts";

/** PEM label of a request. */
export const CSR_LABEL = "CERTIFICATE REQUEST";

/** Content of OID 1.2.840.10045.4.3.2, ecdsa-with-SHA256. */
const ECDSA_WITH_SHA256 = Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02);

/**
 * A request (PEM) for this key, signed with it. The subject is empty and nothing is asked for: the identity comes from
 * the join token or the current certificate.
 */
export async function createCsr(keys: KeyPair): Promise<string> {
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  const info = derElement(
    DER_TAG.sequence,
    derUnsignedInteger(Uint8Array.of(0)),
    derElement(DER_TAG.sequence),
    publicKey,
    derElement(0xa0),
  );
  const signature = new Uint8Array(await crypto.subtle.sign(ECDSA_P256, keys.privateKey, info));
  const algorithm = derElement(DER_TAG.sequence, derElement(DER_TAG.objectIdentifier, ECDSA_WITH_SHA256));
  return encodePem(
    CSR_LABEL,
    derElement(DER_TAG.sequence, info, algorithm, derBitString(derEcdsaSignature(signature))),
  );
}
