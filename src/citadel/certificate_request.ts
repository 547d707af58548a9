/** What is accepted of a certificate signing request: its public key. Subject, names and extensions in it are never looked at. */
import { CSR_LABEL } from "../identity/csr.ts";
import { hex } from "../identity/der_reader.ts";
import { decodeOnePem } from "../identity/pem.ts";
import { messageOf } from "../lib/message_of.ts";
import { CitadelError } from "./citadel_error.ts";
import { Pkcs10CertificateRequest } from "./x509.ts";

/** Longest request, in characters of PEM; one for RSA 8192 has about 3,000. */
export const CSR_CHARACTERS_MAX = 16 * 1024;

/** Shortest RSA modulus, in bits. */
export const RSA_BITS_MIN = 2048;

/** Longest RSA modulus, in bits: longer ones only cost time to check. */
export const RSA_BITS_MAX = 8192;

const CURVES = ["P-256", "P-384"];

/** What DER of a request begins with. */
const SEQUENCE = 0x30;

/** id-ecPublicKey (RFC 5480 §2.1.1): so the library calls a key whose curve has no name. */
const EC_PUBLIC_KEY = "1.2.840.10045.2.1";

/**
 * The public key (DER of SubjectPublicKeyInfo) of a PEM request whose signature proves that its owner asks.
 * Throws CitadelError `csr_refused`.
 */
export async function publicKeyOfRequest(pem: string): Promise<Uint8Array> {
  if (pem.length > CSR_CHARACTERS_MAX) throw refused(`it is longer than ${CSR_CHARACTERS_MAX} characters`);
  let weakness: string | undefined;
  let proven: boolean;
  let publicKey: ArrayBuffer;
  try {
    const der = decodeOnePem(pem, CSR_LABEL);
    // The library takes bytes that are no DER for another form of text.
    if (der[0] !== SEQUENCE) throw new TypeError("its bytes are no DER of a request");
    const request = new Pkcs10CertificateRequest(der);
    publicKey = request.publicKey.rawData;
    // Before the signature: checking a giant key's is what would hurt.
    weakness = weaknessOf(request.publicKey.algorithm);
    proven = weakness === undefined && await request.verify();
  } catch (cause) {
    throw refused(`it cannot be read: ${messageOf(cause)}`, cause);
  }
  if (weakness !== undefined) throw refused(weakness);
  if (!proven) throw refused("its signature is wrong");
  return new Uint8Array(publicKey);
}

/** What a public key is remembered by: the SHA-256 of its SubjectPublicKeyInfo, in hex. */
export async function publicKeyHash(publicKey: Uint8Array): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", publicKey as Uint8Array<ArrayBuffer>)));
}

function weaknessOf(algorithm: Algorithm): string | undefined {
  const { name, namedCurve, modulusLength } = algorithm as Partial<EcKeyAlgorithm & RsaKeyAlgorithm>;
  if (name?.startsWith("RSA") && modulusLength !== undefined) {
    const isGood = modulusLength >= RSA_BITS_MIN && modulusLength <= RSA_BITS_MAX;
    return isGood ? undefined : `its RSA key has ${modulusLength} bits`;
  }
  if (name?.startsWith("EC") && CURVES.includes(namedCurve ?? "")) return undefined;
  if (name === EC_PUBLIC_KEY) return "its key is on a curve without a name";
  return `its key is ${name ?? "unknown"} ${namedCurve ?? ""}`.trim();
}

function refused(detail: string, cause?: unknown): CitadelError {
  return new CitadelError(
    "csr_refused",
    "The certificate request was refused",
    `The certificate request was refused: ${detail}`,
    { cause },
  );
}
