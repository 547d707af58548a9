/**
 * The private key of a CA as other tools write it: PKCS#8 (RFC 5958), and the older forms of openssl, PKCS#1 for RSA
 * (RFC 8017 §A.1.2) and SEC 1 for elliptic curves (RFC 5915).
 */
import { DER_TAG, DerReader, hex } from "../../identity/der_reader.ts";
import { derElement, derUnsignedInteger } from "../../identity/der_writer.ts";
import { PRIVATE_KEY_LABEL } from "../../identity/key_pair.ts";
import { decodePem, type PemBlock } from "../../identity/pem.ts";
import { RSA_BITS_MAX, RSA_BITS_MIN } from "../certificate_request.ts";

const PKCS1_LABEL = "RSA PRIVATE KEY";
const SEC1_LABEL = "EC PRIVATE KEY";
/** openssl writes it before a SEC 1 key, which names its curve itself. */
const CURVE_LABEL = "EC PARAMETERS";

const RSA_ENCRYPTION = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01);
const EC_PUBLIC_KEY = Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01);

/** Curves by the hex of their OID. */
const CURVES: Readonly<Record<string, string>> = { "2a8648ce3d030107": "P-256", "2b81040022": "P-384" };

/** Why the key will not do, as a clause. */
export class AuthorityKeyError extends Error {
  override readonly name = "AuthorityKeyError";
}

/** How WebCrypto reads the key and its public half. */
export type KeyAlgorithm = RsaHashedImportParams | EcKeyImportParams;

/** How openssl encrypts the older forms (RFC 1421 §4.6.1.1). */
const ENCRYPTED_HEADER = /^Proc-Type: *4, *ENCRYPTED/m;

/** The one key of a file's text, PEM. Throws AuthorityKeyError, IdentityError. */
export async function importAuthorityKey(
  text: string,
): Promise<{ readonly privateKey: CryptoKey; readonly algorithm: KeyAlgorithm }> {
  if (ENCRYPTED_HEADER.test(text)) throw encrypted();
  const [block, ...more] = decodePem(text).filter(({ label }) => label !== CURVE_LABEL);
  if (block === undefined) throw new AuthorityKeyError("it holds no private key");
  if (more.length > 0) {
    throw new AuthorityKeyError(`it holds ${more.length + 1} keys, and must hold exactly one`);
  }
  const der = toPkcs8(block);
  const algorithm = algorithmOf(der);
  let privateKey: CryptoKey;
  try {
    privateKey = await crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  } catch (cause) {
    throw new AuthorityKeyError("its private key is damaged", { cause });
  }
  const { modulusLength: bits } = privateKey.algorithm as Partial<RsaKeyAlgorithm>;
  if (bits !== undefined && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)) {
    throw new AuthorityKeyError(
      `its RSA key has ${bits} bits, and a CA's must have ${RSA_BITS_MIN} to ${RSA_BITS_MAX}`,
    );
  }
  return { privateKey, algorithm };
}

function toPkcs8({ label, der }: PemBlock): Uint8Array<ArrayBuffer> {
  if (label === PRIVATE_KEY_LABEL) return der;
  if (label === PKCS1_LABEL) return wrap(RSA_ENCRYPTION, derElement(0x05), der);
  if (label === SEC1_LABEL) return wrap(EC_PUBLIC_KEY, curveOfSec1(der), der);
  if (label === "ENCRYPTED PRIVATE KEY") throw encrypted();
  throw new AuthorityKeyError(`it holds a ${label} instead of a private key`);
}

function encrypted(): AuthorityKeyError {
  return new AuthorityKeyError(
    "its private key is encrypted, and there is nobody to type the password; openssl pkey -in KEY -out NEW decrypts it",
  );
}

/** PKCS#8 around a key of its own form (RFC 5958 §2). */
function wrap(oid: Uint8Array, parameters: Uint8Array, key: Uint8Array): Uint8Array<ArrayBuffer> {
  const algorithm = derElement(DER_TAG.sequence, derElement(DER_TAG.objectIdentifier, oid), parameters);
  const version = derUnsignedInteger(Uint8Array.of(0));
  return derElement(DER_TAG.sequence, version, algorithm, derElement(DER_TAG.octetString, key));
}

/** DER of the curve's OID. */
function curveOfSec1(der: Uint8Array): Uint8Array {
  const key = new DerReader(der).enter(DER_TAG.sequence);
  key.readIntegerHex();
  key.read(DER_TAG.octetString);
  if (!key.nextIs(0xa0)) throw new AuthorityKeyError("its private key does not say on which curve it is");
  return derElement(DER_TAG.objectIdentifier, key.enter(0xa0).read(DER_TAG.objectIdentifier));
}

function algorithmOf(pkcs8: Uint8Array): KeyAlgorithm {
  const info = new DerReader(pkcs8).enter(DER_TAG.sequence);
  info.readIntegerHex();
  const algorithm = info.enter(DER_TAG.sequence);
  const oid = algorithm.readOidHex();
  if (oid === hex(RSA_ENCRYPTION)) return { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  if (oid === hex(EC_PUBLIC_KEY) && algorithm.nextIs(DER_TAG.objectIdentifier)) {
    const namedCurve = CURVES[algorithm.readOidHex()];
    if (namedCurve !== undefined) return { name: "ECDSA", namedCurve };
  }
  throw new AuthorityKeyError(
    `its private key is none of P-256, P-384 and RSA with ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits`,
  );
}
